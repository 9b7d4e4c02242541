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

SHAPE = (12, 11, 10)


def landmark_forces(backend, fixed, moving, strength=1.0, half_maps=None):
    """The forces of a level, started, and its half-maps on the backend."""
    maps = backend.upload(np.zeros((2, 3, *SHAPE), np.float32) if half_maps is None else half_maps)
    forces = LandmarkForces(np.stack([np.float64(fixed), np.float64(moving)]), SHAPE, backend)
    forces.start(maps, strength)
    return forces, maps


def test_the_pull_is_spread_over_the_voxels_around(backend):
    forces, maps = landmark_forces(backend, [[4.0, 5.0, 5.0]], [[5.0, 5.0, 5.0]], strength=2.0)
    field = backend.zeros((2, 3, *SHAPE))
    forces.add(maps, field)
    field = backend.download(field)
    np.testing.assert_allclose(field[:, :, 4:6, 5, 5].sum(axis=2), [[-1.0, 0, 0], [1.0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(field.sum(axis=(2, 3, 4)), [[-1.0, 0, 0], [1.0, 0, 0]], atol=1e-6)


def test_landmarks_in_one_voxel_add_up_and_far_ones_are_limited(backend):
    fixed, moving = [[4.0, 5.0, 5.0], [4.0, 5.0, 5.0]], [[4.0, 5.5, 5.0], [4.0, 9.0, 5.0]]
    forces, maps = landmark_forces(backend, fixed, moving)
    field = backend.zeros((2, 3, *SHAPE))
    forces.add(maps, field)
    total = backend.download(field).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(total[0], [0, -0.25 - LONGEST, 0], atol=1e-5)
    np.testing.assert_allclose(total[1], -total[0], atol=1e-5)
    assert forces.energy() == pytest.approx((0.25**2 + 2 * 2 - 1) / np.prod(SHAPE))


def test_places_are_found_under_half_maps(backend):
    half_maps = np.stack([smooth_field(SHAPE, 1), smooth_field(SHAPE, 2)]).astype(np.float32)
    middle = np.array([5.25, 4.5, 5.0])
    fixed, moving = (middle + interpolated(half, middle) for half in half_maps)
    forces, maps = landmark_forces(backend, [fixed], [moving], half_maps=half_maps)
    forces.add(maps, backend.zeros((2, 3, *SHAPE)))
    assert forces.energy() < 1e-9


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
    for weight in (0, 3):
        recipe = Recipe.load(QUICK).with_options(f"syn.landmark_weight={weight}", "initialise.landmarks=rigid")
        found = register(fixed, moving, recipe, landmarks=landmarks)
        ends[weight] = found.report["landmarks"]["result"]["mean"]
        assert found.report["quality"]["folded_voxels"] == 0
    assert ends[3] < 0.5 * ends[0]


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match=r"syn\.landmark_weight"):
        Recipe.load("syn").with_options("syn.landmark_weight=-1")
