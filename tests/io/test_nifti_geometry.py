"""Where the tools of the field see the voxels of a file: ITK and nibabel are asked themselves."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK

from itk_peers import seen_by_itk
from made_headers import HEADERS, MIRRORED, ONE, SHAPE, write_header
from warpline.errors import InputError, UsageError
from warpline.io.images import as_image, read_grid, read_image
from warpline.io.nifti import parse_header, stored_header
from warpline.io.nifti_geometry import ITK, TOOLS, Placement
from warpline.space.grid import Grid


def placement(path):
    head = path.read_bytes()
    return Placement.of(stored_header(head), parse_header(head, path.name))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("headers")
    SimpleITK.ProcessObject_SetGlobalWarningDisplay(False)
    return {name: write_header(folder / f"{number}.nii", **says) for number, (name, says) in enumerate(HEADERS.items())}


@pytest.mark.parametrize("name", HEADERS)
def test_itk_is_where_itk_is(files, name):
    answer, theirs = TOOLS[ITK](placement(files[name])), seen_by_itk(files[name])
    if theirs is None:
        assert answer.matrix is None and "refused" in answer.source
    else:
        np.testing.assert_allclose(answer.matrix, theirs, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in HEADERS if name not in ("micrometres", "metres")])
def test_nibabel_is_where_nibabel_is(files, name):
    np.testing.assert_array_equal(TOOLS["nibabel"](placement(files[name])).matrix, nibabel.load(files[name]).affine)


@pytest.mark.parametrize(("asked", "matrix"), [(None, ONE), ("sform", ONE), ("qform", MIRRORED)])
def test_the_user_chooses_the_matrix(files, asked, matrix):
    image = read_image(files["sform 4"], asked)
    np.testing.assert_allclose(image.affine, matrix, atol=1e-5)
    assert image.grid.header.matrix == (asked or "sform")
    assert read_grid(files["sform 4"], asked) == image.grid
    assert as_image(nibabel.load(files["sform 4"]), "image", asked).grid == image.grid


def test_a_matrix_that_is_not_there_is_said(files):
    grid = read_grid(files["sform"], "qform")
    np.testing.assert_allclose(grid.affine, ONE, atol=1e-5)
    assert any("has no qform (qform_code 0); taken is the sform (code 2)" in note for note in grid.notes)


def test_another_word_is_refused(files):
    with pytest.raises(UsageError, match="geometry is 'best'; choose from sform, qform"):
        read_grid(files["sform"], "best")


def test_a_singular_sform_is_refused_and_the_way_out_named(files):
    with pytest.raises(InputError, match=r"singular: .*, or take its qform: --geometry qform \(geometry='qform'\)"):
        read_image(files["singular, qform"])
    np.testing.assert_allclose(read_image(files["singular, qform"], "qform").affine, MIRRORED, atol=1e-5)


@pytest.mark.parametrize(("name", "factor", "affine"), [("micrometres", 1e-3, ONE), ("metres", 1e3, MIRRORED)])
def test_units_become_mm(files, name, factor, affine):
    expected = np.diag((factor, factor, factor, 1)) @ affine
    for grid in (read_grid(files[name]), read_image(files[name]).grid, as_image(nibabel.load(files[name]), "a").grid):
        np.testing.assert_allclose(grid.affine, expected, rtol=1e-5, atol=1e-7)
        note, *_ = grid.notes  # in metres, its voxels are too large
        assert f"its header is in {name} (xyzt_units): converted to mm" in note


def test_a_long_quaternion_is_normalised_as_by_the_library(tmp_path):
    content = bytearray(write_header(tmp_path / "a.nii", qform=np.diag((-2.0, 3, -4, 1))).read_bytes())
    content[256:268] = np.array((0, 1.01, 0), "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    np.testing.assert_allclose(TOOLS[ITK](placement(tmp_path / "a.nii")).matrix, seen_by_itk(tmp_path / "a.nii"))
    with pytest.raises(InputError, match="damaged qform"):
        read_grid(tmp_path / "a.nii")


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_nifti_2_is_judged_alike(tmp_path, kind):
    grid = read_grid(write_header(tmp_path / "a.nii", **HEADERS["sform 4"], kind=kind))
    (note,) = grid.notes
    assert "in ITK (ANTs, SimpleITK, Slicer) and older ITK by the qform (code 1), up to" in note
    assert note.endswith("--geometry (geometry=)")


def test_big_endian_files_are_judged_alike(tmp_path):
    write_header(tmp_path / "a.nii", **HEADERS["sform 4"])
    turned = nibabel.Nifti1Header.from_fileobj((tmp_path / "a.nii").open("rb"), check=False).as_byteswapped(">")
    data = np.zeros(SHAPE, ">f4").tobytes()
    (tmp_path / "b.nii").write_bytes(turned.binaryblock + bytes(4) + data)
    first, second = read_grid(tmp_path / "a.nii"), read_grid(tmp_path / "b.nii")
    assert first == second
    assert [note.partition(": ")[2] for note in first.notes] == [note.partition(": ")[2] for note in second.notes]


def test_the_header_does_not_count_in_comparisons(files):
    grid = read_grid(files["sform 4"])
    assert grid == Grid(grid.shape, grid.affine)
    assert grid.bare.header is None and grid.bare == grid
