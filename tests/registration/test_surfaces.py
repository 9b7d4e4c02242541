"""Surfaces of two images: how they are given, what is refused, and how far they are apart."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from warpline.errors import InputError, UsageError
from warpline.registration import SurfacePair
from warpline.registration.surfaces import (
    LARGE_DISTANCE,
    JoinedPoints,
    LoadedSurfaces,
    SurfaceDistance,
    SurfaceErrors,
    load_surfaces,
)
from warpline.space import Affine
from warpline.space.grid import Grid

SQUARE = np.array([[0.0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def shifted(z):
    """The affine that moves along the third axis."""
    matrix = np.eye(4)
    matrix[2, 3] = z
    return Affine(matrix)


def gifti(path, triangles):
    arrays = [(SQUARE.astype(np.float32), "NIFTI_INTENT_POINTSET"), (triangles, "NIFTI_INTENT_TRIANGLE")]
    system = nibabel.gifti.GiftiCoordSystem(1, 1, np.eye(4))
    made = [nibabel.gifti.GiftiDataArray(array, intent, coordsys=system) for array, intent in arrays]
    nibabel.gifti.GiftiImage(darrays=made).to_filename(path)
    return path


def test_a_gifti_surface_has_its_triangles(tmp_path):
    path = gifti(tmp_path / "a.surf.gii", TRIANGLES.astype(np.int32))
    (loaded,) = load_surfaces([SurfacePair(path, SQUARE, 2.0)], "ras")
    np.testing.assert_array_equal(loaded.fixed.triangles, TRIANGLES)
    assert loaded.moving.triangles is None and loaded.files == (str(path),) and loaded.weight == 2.0


def test_triangles_of_missing_vertices_are_refused(tmp_path):
    path = gifti(tmp_path / "a.surf.gii", TRIANGLES.astype(np.int32) + 1)
    with pytest.raises(InputError, match=r"a\.surf\.gii has triangles .* no indices of its 4 vertices"):
        load_surfaces([SurfacePair(path, SQUARE)], "ras")


def test_streamlines_are_joined_along_each(tmp_path):
    lines = [SQUARE[:3], SQUARE[1:], np.zeros((1, 3))]
    tractogram = nibabel.streamlines.Tractogram(lines, affine_to_rasmm=np.eye(4))
    nibabel.streamlines.save(tractogram, str(tmp_path / "a.tck"))
    (loaded,) = load_surfaces([SurfacePair(tmp_path / "a.tck", SQUARE)], "ras")
    assert loaded.fixed.triangles.tolist() == [[0, 1, 1], [1, 2, 2], [3, 4, 4], [4, 5, 5]]


def test_tables_are_read_in_their_space(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n4,5,6\n")
    (loaded,) = load_surfaces([SurfacePair(tmp_path / "a.csv", (SQUARE, TRIANGLES[:, :2]))], "lps")
    np.testing.assert_array_equal(loaded.fixed.points, [[-1, -2, 3], [-4, -5, 6]])
    np.testing.assert_array_equal(loaded.moving.triangles, TRIANGLES[:, [0, 1, 1]])


@pytest.mark.parametrize(
    ("fixed", "error", "message"),
    [
        ("a.stl", UsageError, r"a\.stl ends in none of \.csv"),
        ("missing.csv", InputError, r"missing\.csv"),
        (np.zeros((4, 2)), InputError, r"fixed surface 1 has points of shape \(4, 2\)"),
        (np.zeros((0, 3)), InputError, r"fixed surface 1 has points of shape \(0, 3\)"),
        (SQUARE * np.nan, InputError, "fixed surface 1 holds NaN"),
        ([["a", "b", "c"]], InputError, "fixed surface 1 is no array"),
        ((SQUARE, TRIANGLES + 2), InputError, r"indices \(M, 3\), or of segments \(M, 2\), below 4"),
        ((SQUARE, TRIANGLES * 0.5), InputError, "type float64"),
    ],
)
def test_what_is_no_surface_is_refused(fixed, error, message):
    with pytest.raises(error, match=message):
        load_surfaces([SurfacePair(fixed, SQUARE)], "ras")


@pytest.mark.parametrize(
    "options",
    [{"weight": 0.0}, {"weight": 1e6}, {"weight": "2"}, {"reach": 0.0}, {"reach": "8"}, {"reach": float("nan")}],
)
def test_weights_and_reaches_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match=f"{next(iter(options))} .* is needed"):
        SurfacePair(SQUARE, SQUARE, **options)


def test_one_pair_is_a_list_of_one():
    (loaded,) = load_surfaces(SurfacePair(SQUARE, SQUARE), "ras")
    assert loaded.weight == 1


@pytest.mark.parametrize("given", [[(SQUARE, SQUARE)], (SQUARE, SQUARE), "a.csv,b.csv", 3])
def test_what_is_no_list_of_pairs_is_refused(given):
    with pytest.raises(UsageError, match=r"surfaces=\[SurfacePair\(fixed, moving\)\] is needed"):
        load_surfaces(given, "ras")


@pytest.mark.parametrize(
    ("surface", "said"),
    [
        (JoinedPoints(SQUARE * [1, 1, np.nan]), "fixed surface 1 holds NaN"),
        (JoinedPoints(SQUARE, TRIANGLES + 9), r"fixed surface 1 has triangles of shape .*below 4"),
    ],
)
def test_loaded_surfaces_are_checked_as_well(surface, said):
    with pytest.raises(InputError, match=said):
        load_surfaces([SurfacePair(surface, SQUARE)], "ras")


def test_distances_are_those_of_both_directions():
    pair = LoadedSurfaces(JoinedPoints(SQUARE, TRIANGLES), JoinedPoints(np.array([[2.0, 1, 3], [2, 1, 4]])))
    there, back = pair.distances(shifted(1))
    np.testing.assert_allclose(back, [2, 3])
    np.testing.assert_allclose(there, np.sqrt([4 + 1 + 4, 4 + 1 + 4, 4 + 9 + 4, 4 + 9 + 4]))
    found = SurfaceDistance.of(pair, shifted(1), 1.0)
    assert found.mean == pytest.approx((there.mean() + back.mean()) / 2) and found.p95 == pytest.approx(there.max())


def test_points_out_of_reach_do_not_match():
    far = np.vstack([SQUARE, [[0, 0, 30]]])
    pair = LoadedSurfaces(JoinedPoints(SQUARE), JoinedPoints(far))
    assert SurfaceDistance.of(pair, Affine.identity(), 1.0).matched == pytest.approx(8 / 9)
    near = LoadedSurfaces(JoinedPoints(SQUARE), JoinedPoints(far), reach=0.5)
    assert SurfaceDistance.of(near, shifted(1), 1.0).matched == 0


def test_a_flat_image_knows_no_height():
    slice_of = Grid((8, 8, 1), np.eye(4), flat=True)
    flat = LoadedSurfaces(JoinedPoints(SQUARE), JoinedPoints(SQUARE + [0, 0, 5])).in_planes_of(slice_of, slice_of)
    np.testing.assert_array_equal(flat.moving.points, SQUARE)
    grid = Grid((8, 8, 8), np.eye(4))
    assert LoadedSurfaces(JoinedPoints(SQUARE), JoinedPoints(SQUARE)).in_planes_of(grid, grid).fixed.points is SQUARE


def test_points_beyond_their_image_are_noted():
    grid = Grid((8, 8, 8), np.eye(4))
    pair = LoadedSurfaces(JoinedPoints(SQUARE), JoinedPoints(SQUARE - [2, 0, 0]))
    (note,) = pair.beyond(3, grid, grid)
    assert note.startswith("2 of 4 points of moving surface 3 lie outside the moving image")


@pytest.mark.parametrize(("factor", "count"), [(0.1, 1), (10.0, 1), (2.0, 0), (0.0, 0)])
def test_a_surface_in_another_unit_is_noted(factor, count):
    notes = LoadedSurfaces(JoinedPoints(SQUARE), JoinedPoints(SQUARE * factor)).unlike(2)
    assert len(notes) == count and all("moving surface 2" in note and "in mm" in note for note in notes)


def test_surfaces_that_end_apart_are_warned_of():
    pair = LoadedSurfaces(JoinedPoints(SQUARE), JoinedPoints(SQUARE), files=("a.csv", "b.csv"))
    maps = shifted(0), shifted(2 * LARGE_DISTANCE)
    errors = SurfaceErrors.of([pair], "rigid", maps, 1.0)
    assert errors.warnings(1.0)[0].startswith("surfaces 1 end 10 mm apart on average (0 mm at the start)")
    assert errors.warnings(3.0) == ()
    told = errors.as_report()["pairs"][0]
    assert told["files"] == ("a.csv", "b.csv") and told["points"] == (4, 4) and told["result"]["mean"] == 10
