"""Levels, sample points and comparisons against SciPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from made_heads import lattice, scan
from synthetic import ellipsoid, smooth_volume
from warpline.backends import select
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.recipe import Linear
from warpline.registration.objective import affine_objective
from warpline.registration.pyramid import PyramidLevel, build_pyramid
from warpline.registration.sample_points import sample_points
from warpline.space.grid import Grid

SIZES = st.tuples(*[st.sampled_from([0.7, 1.0, 1.5, 3.0, 5.0])] * 3)
SHAPES = st.tuples(*[st.integers(1, 12)] * 3)


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=1)


def level_of(volume, size=(1.0, 1.0, 1.0), mask=None):
    return PyramidLevel(volume, Grid(volume.shape, np.diag([*size, 1.0])), np.zeros(3), select("numpy"), mask)


def levels_of(image, spacings, backend, mask=None):
    return build_pyramid(normalise(image, backend, mask), spacings, backend)


def voxels_of(points):
    return {tuple(index) for index in np.floor(points + 0.5).astype(int)}


@settings(max_examples=60)
@given(shape=SHAPES, size=SIZES, rim=st.sampled_from([0.5, 1.4, 2.0, 3.0, 4.7, 30.0]), seed=st.integers(0, 99))
def test_sample_points_reach_around_the_foreground(shape, size, rim, seed):
    volume = (np.random.default_rng(seed).uniform(size=shape) < 0.03).astype(np.float32)
    level = level_of(volume, size)
    near = np.ones(shape, bool)
    if not level.foreground.all():
        near = ndimage.distance_transform_edt(~level.foreground, sampling=size) <= rim
    points = sample_points(level, near.size, rim)
    assert len(points) == near.sum()
    assert len(sample_points(level, 3, rim)) == min(3, near.sum())
    last = np.array(shape) - 1
    assert ((points >= 0) & (points <= last)).all()
    inner = ((points > 0) & (points < last)).all(axis=1)  # clipped ones may share a voxel with their neighbour
    assert voxels_of(points[inner]) <= {tuple(index) for index in np.argwhere(near)} | voxels_of(points[~inner])


@pytest.mark.parametrize("rim", [0.0, 2.5, 7.0])
def test_sample_points_are_the_same_bits_on_every_backend(rim, backend, numpy_backend):
    volume = np.where(ellipsoid((16, 15, 14), 0.5), 5.0, 2.0).astype(np.float32)
    grid = Grid(volume.shape, np.diag([1.0, 2.0, 1.5, 1.0]))
    expected, found = (
        b.download(sample_points(PyramidLevel(b.upload(volume), grid, np.zeros(3), b), 700, rim))
        for b in (numpy_backend, backend)
    )
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_the_rim_stays_within_the_mask():
    volume, mask = np.zeros((20, 20, 20), np.float32), np.zeros((20, 20, 20), np.uint8)
    volume[8:12, 8:12, 8:12], mask[:, :, :11] = 1, 1
    points = sample_points(level_of(volume, mask=mask), 8000, rim=3.0)
    assert points[:, 2].max() < 11
    assert points[:, 0].max() > 13


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
