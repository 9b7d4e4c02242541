"""Surfaces: vertices move, everything else stays."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.gifti import GiftiDataArray, GiftiImage

from warpline.errors import InputError, UsageError
from warpline.io.surfaces import read_surface, triangles_of, write_surface

VERTICES = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], np.float32)

TRIANGLES = np.array([[0, 1, 2], [0, 1, 3]], np.int32)


@pytest.fixture
def surface(tmp_path):
    arrays = [
        GiftiDataArray(VERTICES, intent="NIFTI_INTENT_POINTSET", meta={"AnatomicalStructurePrimary": "CortexLeft"}),
        GiftiDataArray(TRIANGLES, intent="NIFTI_INTENT_TRIANGLE"),
    ]
    nibabel.save(GiftiImage(darrays=arrays), tmp_path / "lh.white.surf.gii")
    return tmp_path / "lh.white.surf.gii"


def test_vertices_move_and_the_rest_stays(surface, tmp_path):
    read = read_surface(surface)
    np.testing.assert_array_equal(read.points, VERTICES)
    write_surface(read, tmp_path / "moved.surf.gii", read.points + (1, 2, 3))
    moved = nibabel.load(tmp_path / "moved.surf.gii")
    points, triangles = moved.agg_data(("pointset", "triangle"))
    np.testing.assert_allclose(points, VERTICES + (1, 2, 3))
    np.testing.assert_array_equal(triangles, TRIANGLES)
    assert moved.darrays[0].meta["AnatomicalStructurePrimary"] == "CortexLeft"
    np.testing.assert_array_equal(read_surface(surface).points, VERTICES)


def test_triangles_are_read_where_there_are_some(surface, tmp_path):
    np.testing.assert_array_equal(triangles_of(read_surface(surface), "lh"), TRIANGLES)
    bare = GiftiImage(darrays=[GiftiDataArray(VERTICES, intent="NIFTI_INTENT_POINTSET")])
    nibabel.save(bare, tmp_path / "points.gii")
    assert triangles_of(read_surface(tmp_path / "points.gii"), "points") is None


def test_other_names_are_refused(surface, tmp_path):
    with pytest.raises(UsageError, match=r"let it end in \.surf\.gii"):
        write_surface(read_surface(surface), tmp_path / "moved.obj", VERTICES)


def test_files_without_vertices_are_refused(tmp_path):
    shape = GiftiImage(darrays=[GiftiDataArray(np.zeros(4, np.float32), intent="NIFTI_INTENT_SHAPE")])
    nibabel.save(shape, tmp_path / "thickness.shape.gii")
    with pytest.raises(InputError, match="thickness"):
        read_surface(tmp_path / "thickness.shape.gii")


def test_vertices_that_are_not_finite_are_refused(tmp_path):
    bad = GiftiImage(darrays=[GiftiDataArray(VERTICES * np.float32(np.nan), intent="NIFTI_INTENT_POINTSET")])
    nibabel.save(bad, tmp_path / "bad.surf.gii")
    with pytest.raises(InputError, match="not finite"):
        read_surface(tmp_path / "bad.surf.gii")


@settings(max_examples=40)
@given(st.integers(0, 3000), st.binary(max_size=20))
def test_damaged_files_give_a_clear_error(tmp_path_factory, cut, garbage):
    array = GiftiDataArray(VERTICES, intent="NIFTI_INTENT_POINTSET")
    content = GiftiImage(darrays=[array]).to_bytes()
    path = tmp_path_factory.getbasetemp() / "damaged.surf.gii"
    path.write_bytes(content[:cut] + garbage)
    try:
        assert read_surface(path).points.shape == VERTICES.shape
    except InputError as error:
        assert "damaged.surf.gii" in str(error)


def test_missing_and_empty_files_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_surface(tmp_path / "absent.surf.gii")
    (tmp_path / "empty.surf.gii").write_bytes(b"")
    with pytest.raises(InputError, match="it is empty"):
        read_surface(tmp_path / "empty.surf.gii")
