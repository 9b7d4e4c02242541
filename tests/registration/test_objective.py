"""Levels, sample points and comparisons against SciPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from made_heads import lattice, scan
from synthetic import ellipsoid, smooth_volume
from warpline.backends import select
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.recipe import Linear
from warpline.registration.objective import affine_objective
from warpline.registration.pyramid import PyramidLevel, build_pyramid
from warpline.space.grid import Grid


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=1)


def level_of(volume, size=(1.0, 1.0, 1.0), mask=None):
    return PyramidLevel(volume, Grid(volume.shape, np.diag([*size, 1.0])), np.zeros(3), select("numpy"), mask)


def levels_of(image, spacings, backend, mask=None):
    return build_pyramid(normalise(image, backend, mask), spacings, backend)


def test_foreground_is_what_differs_from_a_constant_background():
    volume = np.where(ellipsoid((16, 15, 14), 0.6), 5.0, 2.0).astype(np.float32)
    np.testing.assert_array_equal(level_of(volume).foreground, volume > 2)
    assert level_of(smooth_volume((16, 15, 14))).foreground.all()
    assert level_of(np.full((4, 4, 4), 3, np.float32)).foreground.all()
    mask = np.zeros(volume.shape, np.uint8)
    mask[:8] = 1
    np.testing.assert_array_equal(level_of(volume, mask=mask).foreground, (volume > 2) & (mask > 0))


@pytest.mark.parametrize("metric", ["mutual_information", "correlation"])
def test_gradients_are_by_the_world_matrix_and_weighted(metric, fast):
    fixed, moving = (levels_of(scan(grid), (6.0,), fast)[0] for grid in (lattice(), lattice(size=3.2)))
    objective = affine_objective(fixed, moving, Linear(metric=metric, samples=6000))
    world = np.eye(4)
    world[:3, 3] = (3.0, -2.0, 1.5)
    (value,), (slope,) = objective.values_and_derivatives(world[None])
    assert objective.overlap(world) > 0.9
    assert objective.values(world[None])[0] == pytest.approx(value * objective.overlap(world))
    for row in range(3):
        ends = np.stack([world, world])
        ends[:, row, 3] += (0.01, -0.01)
        rise = np.subtract(*objective.values_and_derivatives(ends)[0]) / 0.02
        assert slope[row, 3] == pytest.approx(rise, rel=0.1, abs=2e-4)
    away = world.copy()
    away[0, 3] = 1000
    np.testing.assert_array_equal(objective.values(np.stack([away, world]))[0], 0)


def test_masked_levels_average_within_the_mask(backend):
    grid = Grid((16, 16, 16), np.eye(4))
    left = np.indices(grid.shape)[0] < 8
    image = Image(np.where(left, 7.0, 100.0).astype(np.float32), grid, "image")
    level = levels_of(image, (2.0,), backend, Image(left.astype(np.uint8), grid, "mask"))[0]
    volume, inside = backend.download(level.array), backend.download(level.inside)
    assert level.mask.dtype == np.uint8
    assert np.ptp(volume[inside]) < 1e-6
    assert not volume[~inside].any()
    assert inside[:4].all()
    assert not inside[5:].any()
