"""Forces on landmarks: where they are spread, what they lower, and that they bring landmarks together without folds."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import QUICK, made_pair
from synthetic import smooth_field
from warpline.errors import UsageError
from warpline.recipe import Recipe
from warpline.registration import Landmarks, register
from warpline.registration.landmark_forces import LONGEST, LandmarkForces
from warpline.space.grid import Grid

SHAPE = (12, 11, 10)


GRID = Grid(SHAPE, np.diag([2.0, 1.0, 1.0, 1.0]))


def landmark_forces(backend, fixed, moving, half_maps=None, **options):
    """The forces of a level, of half a unit for a miss of a voxel and a weight of 1, and its half-maps."""
    maps = backend.upload(np.zeros((2, 3, *SHAPE), np.float32) if half_maps is None else half_maps)
    forces = LandmarkForces(np.stack([np.float64(fixed), np.float64(moving)]), GRID, backend, **options)
    forces.follow(maps)
    forces.scale(0.5, 3.0)
    return forces, maps


def forces_of(forces, maps, backend):
    """Those on both half-maps, on the host."""
    field = backend.zeros((2, 3, *SHAPE))
    forces.add(maps, field)
    return backend.download(field)


def test_the_pull_is_spread_over_the_voxels_around(backend):
    field = forces_of(*landmark_forces(backend, [[4.0, 5.0, 5.0]], [[5.0, 5.0, 5.0]], weight=4.0), backend)
    np.testing.assert_allclose(field[:, :, 4:6, 5, 5].sum(axis=2), [[-1.0, 0, 0], [1.0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(field.sum(axis=(2, 3, 4)), [[-1.0, 0, 0], [1.0, 0, 0]], atol=1e-6)


def test_landmarks_in_one_voxel_add_up_and_far_ones_are_limited(backend):
    fixed, moving = [[4.0, 5.0, 5.0], [4.0, 5.0, 5.0]], [[4.0, 5.5, 5.0], [4.0, 9.0, 5.0]]
    forces, maps = landmark_forces(backend, fixed, moving, weight=2.0)
    total = forces_of(forces, maps, backend).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(total[0], [0, -0.25 - LONGEST, 0], atol=1e-5)
    np.testing.assert_allclose(total[1], -total[0], atol=1e-5)
    assert forces.energy() == pytest.approx(2.0 * 3.0 * (0.25**2 + 2 * 2 - 1) / 2, rel=1e-5)
    assert forces.distance() == pytest.approx(np.sqrt((0.5**2 + 4**2) / 2), rel=1e-5)


def test_what_may_not_move_is_not_missed(backend):
    allowed = np.diag([0.0, 1.0, 0.0])
    forces, maps = landmark_forces(backend, [[4.0, 5.0, 5.0]], [[9.0, 5.5, 5.0]], allowed=allowed)
    np.testing.assert_allclose(forces_of(forces, maps, backend)[0].sum(axis=(1, 2, 3)), [0, -0.125, 0], atol=1e-6)
    assert forces.distance() == pytest.approx(0.5, rel=1e-5)
    assert forces.energy() == pytest.approx(3.0 * 0.25**2, rel=1e-5)


def test_nothing_is_missed_across_a_slice(numpy_backend):
    grid = Grid((12, 11, 1), np.eye(4))
    maps = numpy_backend.zeros((2, 3, *grid.shape))
    forces = LandmarkForces(np.array([[[4.0, 5.0, 0.0]], [[5.0, 5.0, 3.0]]]), grid, numpy_backend)
    forces.follow(maps)
    assert forces.distance() == pytest.approx(1.0)


def test_what_lies_outside_the_level_does_not_pull(numpy_backend):
    fixed, moving = [[4.0, 5.0, 5.0], [4.0, 5.0, 15.0]], [[5.0, 5.0, 5.0], [8.0, 5.0, 15.0]]
    forces, maps = landmark_forces(numpy_backend, fixed, moving)
    assert np.abs(forces_of(forces, maps, numpy_backend)[..., -1]).max() == 0
    alone, _ = landmark_forces(numpy_backend, fixed[:1], moving[:1])
    assert forces.distance() == pytest.approx(alone.distance()) == pytest.approx(2.0)
    assert forces.energy() == pytest.approx(alone.energy())


def test_distances_count_in_millimetres(backend):
    forces, maps = landmark_forces(backend, [[4.0, 5.0, 5.0]], [[5.0, 5.0, 5.0]])
    forces_of(forces, maps, backend)
    assert forces.distance() == pytest.approx(2.0, rel=1e-6)


def test_places_are_found_under_half_maps(backend):
    half_maps = np.stack([smooth_field(SHAPE, 1), smooth_field(SHAPE, 2)]).astype(np.float32)
    middle = np.array([5.25, 4.5, 5.0])
    fixed, moving = (middle + interpolated(half, middle) for half in half_maps)
    forces, maps = landmark_forces(backend, [fixed], [moving], half_maps=half_maps)
    forces_of(forces, maps, backend)
    assert forces.energy() < 1e-6


def interpolated(field, point):
    """A field at a point, linear between voxels."""
    below = np.floor(point).astype(int)
    share = point - below
    value = np.zeros(3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share))
        value += weight * field[(slice(None), *(below + corner))]
    return value


def test_landmarks_end_closer_than_without_the_pull():
    fixed, moving = made_pair()
    centre = fixed.grid.centre
    points = centre + np.array([[-6.0, 0, 0], [6, 1, 0], [0, 6, -2], [1, -6, 3]])
    landmarks = Landmarks(points, register(fixed, moving, QUICK).transform.map_points(points) + [1.5, 0, 0])
    ends = {}
    for weight in (0, 5):
        recipe = Recipe.load(QUICK).with_options(f"syn.landmark_weight={weight}", "initialise.landmarks=rigid")
        found = register(fixed, moving, recipe, landmarks=landmarks)
        ends[weight] = found.report["landmarks"]["result"]["mean"]
        assert found.report["quality"]["folded_voxels"] == 0
    assert ends[5] < 0.4 * ends[0]


def test_landmarks_pull_where_images_fit_already():
    """Beside one and the same image, whose forces are nothing but rounding."""
    fixed, _ = made_pair()
    points = fixed.grid.centre + np.array([[-6.0, 0, 0], [6, 1, 0], [0, 6, -2], [1, -6, 3]])
    landmarks = Landmarks(points, points + [[1.5, 0, 0], [1.5, 0, 0], [0, 1.5, 0], [0, 0, 1.5]])
    recipe = QUICK.with_options("linear=off")
    found = register(fixed, fixed, recipe, landmarks=landmarks, initial=np.eye(4), backend="numpy")
    assert found.report["landmarks"]["start"]["mean"] == pytest.approx(1.5)
    assert found.report["landmarks"]["result"]["mean"] < 0.5 and found.report["quality"]["folded_voxels"] == 0
    assert [len(level["apart"]) for level in found.report["levels"]] == [1, 1]


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match=r"syn\.landmark_weight"):
        Recipe.load("syn").with_options("syn.landmark_weight=-1")
