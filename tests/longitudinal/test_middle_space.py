"""The grid of the middle, and images on it."""

from __future__ import annotations

import numpy as np

from made_time_points import time_point
from warpline.backends import select
from warpline.images import Image
from warpline.longitudinal.middle_space import (
    brightness_factors,
    extent_of,
    mask_on_middle,
    median_image,
    middle_grid,
    object_of,
    on_middle,
    without_unlike_shading,
)
from warpline.longitudinal.rigid_middle import RigidPair, find_middle
from warpline.space import Affine
from warpline.space.grid import Grid

BACKEND = select("numpy")
NONE = (None, None)


def grid_of(images, times=1):
    """Of the middle of two images that have not moved."""
    middle = find_middle([RigidPair((0, 1), np.eye(4), 0.0)], images)
    return middle_grid(images, middle.centre, extent_of(images, middle), times)


def test_grid_has_the_finest_voxel_and_holds_the_objects():
    images = [time_point(), time_point(size=1.2)]
    grid = grid_of(images)
    assert grid.flat and np.allclose(grid.voxel_size[:2], 1.2)
    aligned = on_middle(images[0], Affine(np.eye(4), flat=True), grid, BACKEND)
    assert np.abs(aligned.data[[0, -1]]).max() < 10 and aligned.data.max() > 100


def test_a_coarser_grid_holds_the_same():
    images = [time_point(), time_point()]
    fine, coarse = (grid_of(images, times) for times in (1, 3))
    np.testing.assert_allclose(coarse.voxel_size[:2], 3 * fine.voxel_size[:2])
    assert (coarse.corners().min(axis=0) <= fine.corners().min(axis=0))[:2].all()


def test_masks_limit_the_object():
    image = time_point()
    half = Image((np.arange(image.grid.shape[0]) < 20)[:, None, None] * np.full(image.grid.shape, 7.0), image.grid)
    mask = mask_on_middle(half, Affine(np.eye(4), flat=True), image.grid, BACKEND)
    assert mask.data.dtype == np.uint8 and mask.data.max() == 1
    inside = object_of(image, mask)
    assert inside[:20].any() and not inside[20:].any() and object_of(image, None)[20:].any()
    assert mask_on_middle(None, Affine(np.eye(4), flat=True), image.grid, BACKEND) is None


def test_volumes_get_cubes():
    grid = Grid((16, 18, 12), np.diag([1.0, 1.0, 2.5, 1.0]))
    image = Image(np.pad(np.ones((8, 8, 4)), ((4, 4), (5, 5), (4, 4))), grid)
    found = grid_of([image, image])
    np.testing.assert_allclose(found.voxel_size, 1.0)
    assert not found.flat


def test_grey_values_are_matched():
    image = time_point()
    brighter = Image(image.data * 2, image.grid)
    first, second = brightness_factors([image, brighter], NONE)
    np.testing.assert_allclose((first, first * second), (2 * second, 1), rtol=1e-6)
    below = Image(image.data - 1000, image.grid)
    assert brightness_factors([image, below], NONE) == [1.0, 1.0]


def test_shading_of_one_image_is_shared_by_both():
    image = time_point(noise=0.0)
    gain = np.linspace(0.8, 1.2, image.grid.shape[0])[:, None, None]
    first, second = without_unlike_shading([image, Image(image.data * gain, image.grid)], [1.0, 1.0], NONE)
    inside = image.data > 40
    left = np.abs(np.log(second.data[inside] / first.data[inside]))
    assert left.mean() < 0.33 * np.abs(np.log(np.broadcast_to(gain, inside.shape)[inside])).mean()


def test_change_is_no_shading():
    images = [time_point(growth, noise=0.0) for growth in (0.0, 0.06)]
    first, second = without_unlike_shading(images, [1.0, 1.0], NONE)
    before, after = (np.linalg.norm(two.data - one.data) for one, two in (images, (first, second)))
    assert after > 0.95 * before


def test_values_below_0_stay_as_they_are():
    image = time_point(noise=0.0)
    below = Image(image.data * 10 - 1000, image.grid)
    for one in without_unlike_shading([below, below], [1.0, 1.0], NONE):
        np.testing.assert_array_equal(one.data, below.data)


def test_the_median_does_not_show_an_outlier():
    image = time_point(noise=0.0)
    spoilt = image.data.copy()
    spoilt[20:30, 20:30] = 5000
    median = median_image([image, Image(spoilt, image.grid), image])
    np.testing.assert_array_equal(median.data, image.data)
