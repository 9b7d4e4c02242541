"""Sample points: in and around the foreground, inside the mask, the same bits on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from made_levels import level_of
from synthetic import ellipsoid
from warpline.registration.pyramid import PyramidLevel
from warpline.registration.sample_points import sample_points
from warpline.space.grid import Grid

SIZES = st.tuples(*[st.sampled_from([0.7, 1.0, 1.5, 3.0, 5.0])] * 3)
SHAPES = st.tuples(*[st.integers(1, 12)] * 3)


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


def test_few_points_are_spread_from_the_first_voxel_to_the_last():
    points = sample_points(level_of(np.ones((20, 1, 1), np.float32)), 5, rim=0.0)
    np.testing.assert_array_equal(np.floor(points[:, 0] + 0.5), [0, 4, 9, 14, 19])


def test_points_lie_off_the_voxel_centres_by_less_than_half():
    points = sample_points(level_of(np.ones((9, 9, 9), np.float32)), 300, rim=0.0)
    off = points - np.floor(points + 0.5)
    assert (np.abs(off) <= 0.5).all()
    assert len(np.unique(off[:, 0].round(5))) > 200
