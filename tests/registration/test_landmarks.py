"""Landmarks: what they are, and the maps fitted to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpline import Affine, Chain, Displacement, Recipe, register
from warpline.backends import select
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.phantom import brain_pair
from warpline.registration.landmarks import LARGE_DISTANCE, LARGE_MEAN, LandmarkErrors, Landmarks, start_from
from warpline.space.grid import Grid

GRID = Grid((40, 36, 32), np.array([[2.0, 0, 0, -40], [0, 2, 0, -35], [0, 0, 2, -30], [0, 0, 0, 1]]))
FLAT = Grid((40, 36, 1), np.array([[2.0, 0, 0, -40], [0, 2, 0, -35], [0, 0, 1, 7], [0, 0, 0, 1]]), flat=True)
EXACT = 1e-9


@pytest.fixture
def backend():
    return select("numpy")


def points(count=8, seed=0, grid=GRID):
    low, high = grid.corners().min(axis=0), grid.corners().max(axis=0)
    return np.random.default_rng(seed).uniform(low, high, (count, 3))


def motion(scale=1.0, shear=0.0):
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_rotvec([0.9, -0.4, 1.7]).as_matrix()
    matrix[0, 1] += shear
    matrix[:3, 3] = (30, -12, 5)
    return Affine(matrix)


CASES = [("rigid", motion(), 3), ("similarity", motion(1.3), 3), ("affine", motion(1.3, 0.4), 4)]


@pytest.mark.parametrize(("model", "true", "least"), CASES)
@pytest.mark.parametrize("more", [0, 5])
def test_a_known_map_is_found_from_its_landmarks(backend, model, true, least, more):
    fixed = points(least + more)
    found = start_from(Landmarks(fixed, true.map_points(fixed)), model, GRID, backend)
    np.testing.assert_allclose(found.matrix, true.matrix, atol=EXACT)


@pytest.mark.parametrize(("model", "true"), [case[:2] for case in CASES])
def test_no_map_of_the_kind_is_nearer_to_noisy_landmarks(backend, model, true):
    fixed = points(9)
    noisy = true.map_points(fixed) + np.random.default_rng(1).normal(0, 2, fixed.shape)
    landmarks = Landmarks(fixed, noisy)
    found = start_from(landmarks, model, GRID, backend)
    best = np.square(landmarks.distances(found)).sum()
    for nudge in np.random.default_rng(2).normal(0, 1e-3, (20, 3)):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec(nudge).as_matrix()
        turn[:3, 3] = 30 * nudge[::-1]
        assert np.square(landmarks.distances(Affine(turn) @ found)).sum() >= best
    determinant = np.linalg.det(found.matrix[:3, :3])
    assert model != "rigid" or determinant == pytest.approx(1)


def test_a_mirrored_rigid_fit_stays_a_rotation(backend):
    fixed = points(6)
    found = start_from(Landmarks(fixed, fixed * [-1, 1, 1]), "rigid", GRID, backend)
    assert np.linalg.det(found.matrix[:3, :3]) == pytest.approx(1)
    with pytest.raises(InputError, match="left and right exchanged"):
        start_from(Landmarks(fixed, fixed * [-1, 1, 1]), "affine", GRID, backend)


def test_a_thin_plate_joins_every_landmark(backend):
    fixed = points(10)
    moving = motion(1.1).map_points(fixed) + np.random.default_rng(3).normal(0, 1.5, fixed.shape)
    landmarks = Landmarks(fixed, moving)
    found = start_from(landmarks, "thin_plate", GRID, backend)
    warp, affine = found.parts
    assert isinstance(warp, Displacement) and isinstance(affine, Affine)
    assert landmarks.distances(affine).mean() > 1
    assert landmarks.distances(found).max() < 0.5  # between voxels of 2 mm, beside the kink of the kernel at each
    on_voxels = GRID.affine[:3, 3] + 2 * np.array([[5.0, 5, 5], [30, 6, 9], [8, 30, 8], [9, 9, 25], [30, 30, 25]])
    exact = Landmarks(on_voxels, on_voxels + np.random.default_rng(4).normal(0, 1, (5, 3)))
    assert exact.distances(start_from(exact, "thin_plate", GRID, backend)).max() < 1e-4


def test_a_thin_plate_of_an_affine_map_is_that_map(backend):
    fixed = points(7)
    found = start_from(Landmarks(fixed, motion(1.2, 0.3).map_points(fixed)), "thin_plate", GRID, backend)
    where = points(30, seed=9)
    np.testing.assert_allclose(found.map_points(where), motion(1.2, 0.3).map_points(where), atol=1e-4)


def test_landmarks_of_flat_images_are_fitted_in_their_plane(backend):
    turn = np.eye(4)
    turn[:2, :2], turn[:2, 3] = [[0.8, -0.6], [0.6, 0.8]], (3, 4)
    fixed = points(6, grid=FLAT)
    moving = Affine(turn).map_points(fixed) + [0, 0, 11]  # another height does not count
    for model in ("rigid", "similarity", "affine", "thin_plate"):
        found = start_from(Landmarks(fixed, moving), model, FLAT, backend)
        inside = Landmarks(fixed, moving).in_planes_of(FLAT, FLAT)
        assert inside.distances(found).max() < 1e-3
    two = start_from(Landmarks(fixed[:2], moving[:2]), "rigid", FLAT, backend)
    np.testing.assert_allclose(two.matrix, turn, atol=1e-9)


def test_a_large_image_gets_a_coarser_field(backend, monkeypatch):
    monkeypatch.setattr("warpline.registration.landmarks.MOST_NODES", 5000)
    fixed = points(6)
    warp, _ = start_from(Landmarks(fixed, fixed + 1), "thin_plate", GRID, backend).parts
    assert np.prod(warp.grid.shape) < 6000 and warp.grid.contains(GRID.corners()).all()


def test_a_spline_that_folds_names_the_two_that_disagree(backend):
    fixed = points(6)
    fixed[5] = fixed[4] + [3, 0, 0]
    moving = fixed.copy()
    moving[[4, 5]] = moving[[5, 4]]
    landmarks = Landmarks(fixed, moving, ("a", "b", "c", "d", "left", "right"))
    with pytest.raises(InputError, match=r"folds at \d+ places .*; landmarks left and right disagree most, 3 mm"):
        start_from(landmarks, "thin_plate", GRID, backend)


LINE = np.outer(np.arange(5.0), (1, 2, 3))
PLANE = points(6) * [1, 1, 0] + [0, 0, 4]


@pytest.mark.parametrize(
    ("fixed", "model", "message"),
    [
        (points(2), "rigid", "2 landmarks were given; .*=rigid needs at least 3 in 3-D"),
        (points(3), "affine", "3 landmarks were given; .*=affine needs at least 4"),
        (LINE, "rigid", "fixed landmarks lie in a line"),
        (LINE, "similarity", "fixed landmarks lie in a line"),
        (PLANE, "affine", "fixed landmarks lie in a plane, .*initialise.landmarks=rigid"),
        (PLANE, "thin_plate", "fixed landmarks lie in a plane"),
    ],
)
def test_landmarks_that_leave_a_map_open_are_refused(backend, fixed, model, message):
    with pytest.raises(InputError, match=message):
        start_from(Landmarks(fixed, points(len(fixed), seed=5)), model, GRID, backend)


def test_moving_landmarks_in_a_line_are_refused(backend):
    with pytest.raises(InputError, match="moving landmarks lie in a line"):
        start_from(Landmarks(points(5), LINE), "rigid", GRID, backend)


@pytest.mark.parametrize(
    ("fixed", "moving", "names", "message"),
    [
        (points(4), points(5), (), "4 fixed landmarks and 5 moving ones"),
        (points(4)[:, :2], points(4), (), r"shape \(4, 2\); \(N, 3\)"),
        (points(4), np.full((4, 3), np.nan), (), "moving landmarks hold NaN"),
        (points(4)[[0, 1, 2, 1]], points(4), ("a", "b", "c", "d"), "fixed landmarks b and d are the same point"),
        (points(3), points(3, 1)[[0, 0, 2]], (), "moving landmarks 1 and 2 are the same point"),
        (points(3), points(3), ("a",), "1 names of 3 landmarks"),
        (np.zeros((0, 3)), np.zeros((0, 3)), (), r"shape \(0, 3\)"),
    ],
)
def test_points_that_are_no_landmarks_are_refused(fixed, moving, names, message):
    with pytest.raises(InputError, match=message):
        Landmarks(fixed, moving, names)


def write(path, rows, heading="name,x,y,z"):
    path.write_text("\n".join([heading, *rows]) + "\n")
    return str(path)


def test_tables_are_joined_by_their_names(tmp_path):
    fixed = write(tmp_path / "f.csv", ["AC,1,2,3", "PC,4,5,6"])
    moving = write(tmp_path / "m.csv", ["PC,7,8,9", "AC,1,1,1"])
    found = Landmarks.of((fixed, moving))
    assert found.names == ("AC", "PC")
    np.testing.assert_array_equal(found.moving, [[1, 1, 1], [7, 8, 9]])
    turned = Landmarks.of((fixed, moving), "lps")
    np.testing.assert_array_equal(turned.fixed, [[-1, -2, 3], [-4, -5, 6]])


def test_tables_without_names_are_joined_by_their_lines(tmp_path):
    named = write(tmp_path / "n.csv", ["AC,1,2,3", "PC,4,5,6"])
    fixed = write(tmp_path / "f.csv", ["1,2,3", "4,5,6"], "x,y,z")
    moving = write(tmp_path / "m.csv", ["7,8,9", "1,1,1"], "x,y,z")
    found = Landmarks.of((fixed, moving))
    assert found.names == ("1", "2")
    np.testing.assert_array_equal(found.moving, [[7, 8, 9], [1, 1, 1]])
    with pytest.raises(InputError, match=r"n\.csv names its landmarks and .*m\.csv does not"):
        Landmarks.of((named, moving))


@pytest.mark.parametrize(
    ("rows", "message"),
    [(["AC,1,2,3", "XX,4,5,6"], r"m\.csv has no landmark 'PC'"), (["AC,1,2,3"], "2 landmarks and .*m.csv 1; one for")],
)
def test_tables_that_do_not_fit_each_other_are_refused(tmp_path, rows, message):
    fixed, moving = write(tmp_path / "f.csv", ["AC,1,2,3", "PC,4,5,6"]), write(tmp_path / "m.csv", rows)
    with pytest.raises(InputError, match=message):
        Landmarks.of((fixed, moving))


def test_sources_are_two_tables_or_two_arrays(tmp_path):
    path = write(tmp_path / "f.csv", ["AC,1,2,3", "PC,4,5,6"])
    with pytest.raises(UsageError, match="a table and an array"):
        Landmarks.of((path, points(2)))
    for wrong in ((path, path, path), 5):
        with pytest.raises(UsageError, match=r"no pair \(fixed, moving\)"):
            Landmarks.of(wrong)
    with pytest.raises(InputError, match="moving landmarks are no array of numbers"):
        Landmarks.of((points(3), [["a"], [1, 2]]))
    landmarks = Landmarks(points(3), points(3))
    assert Landmarks.of(landmarks) is landmarks


def test_landmarks_that_end_far_apart_are_warned_of():
    landmarks = Landmarks(points(3), points(3) + [[0, 0, 1], [0, 0, 2], [21, 0, 0]], ("a", "b", "c"))
    errors = LandmarkErrors.of(landmarks, "rigid", Affine.identity(), Affine.identity())
    (warning,) = errors.warnings(1.0)
    assert warning.startswith("landmark c ends 21 mm from its counterpart (mean of all 8 mm, 8 mm at the start)")
    assert errors.warnings(21.1 / LARGE_DISTANCE) == ()
    assert len(errors.warnings(7.9 / LARGE_MEAN)) == 1


@pytest.fixture(scope="module")
def brains():
    """A made pair whose moving header is turned by 60 degrees, and landmarks: centroids of labels."""
    pair = brain_pair((40, 48, 40), voxel_size=4.0)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("y", 60, degrees=True).as_matrix()
    turn[:3, 3] = (25, -10, 30)
    moving = Image(pair.moving.data, Grid(pair.moving.grid.shape, turn @ pair.moving.affine))
    shared = np.intersect1d(np.unique(pair.fixed_labels.data), np.unique(pair.moving_labels.data))[1:]

    def centroids(labels, affine):
        return np.array(
            [affine[:3, :3] @ np.argwhere(labels.data == one).mean(axis=0) + affine[:3, 3] for one in shared]
        )

    return (
        pair.fixed,
        moving,
        Landmarks(centroids(pair.fixed_labels, pair.fixed_labels.affine), centroids(pair.moving_labels, moving.affine)),
    )


@pytest.mark.parametrize("model", ["rigid", "thin_plate"])
def test_landmarks_find_a_turned_header(brains, model):
    fixed, moving, landmarks = brains
    recipe = Recipe.load("rigid").with_options("linear.voxel_sizes=[8.0]", "linear.iterations=[15]")
    found = register(fixed, moving, recipe.with_options(f"initialise.landmarks={model}"), landmarks=landmarks)
    told = found.report["landmarks"]
    assert told["model"] == model and told["files"] is None and told["count"] == len(landmarks.fixed)
    assert told["result"]["each"] == pytest.approx(landmarks.distances(found.transform).tolist())
    assert told["result"]["mean"] < 8 and not any(line.startswith("landmark") for line in found.report["warnings"])
    assert landmarks.distances(Affine.identity()).mean() > 30
    assert (found.alignment.warp is not None) == (model == "thin_plate")
    assert found.report["similarity"]["after"]["ncc"] > 0.7


def test_a_given_start_is_taken_before_landmarks(brains):
    fixed, moving, landmarks = brains
    recipe = Recipe.load("rigid").with_options("linear=none")
    start = start_from(landmarks, "affine", fixed.grid, select("numpy"))
    found = register(fixed, moving, recipe, landmarks=landmarks, initial=start)
    np.testing.assert_array_equal(found.alignment.affine.matrix, start.matrix)
    assert found.report["landmarks"]["model"] is None
    assert Chain.of(found.transform).parts == (found.alignment.affine,)
