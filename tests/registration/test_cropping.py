"""The pair that SyN registers, cropped to what it shows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synthetic import ellipsoid, smooth_volume
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.registration import cropping
from warpline.registration.cropping import MARGIN
from warpline.space import Affine
from warpline.space.grid import apply_affine

SHAPE = (40, 36, 32)


def prepare(fixed, moving, affine, *, backend, fixed_mask=None, moving_mask=None):
    """Of images, which are normalised first."""
    still, moved = normalise(fixed, backend, fixed_mask), normalise(moving, backend, moving_mask)
    return cropping.crop_pair(still, moved, affine, backend=backend)


def boxed(start, stop, shape=SHAPE, affine=None, background=0.0):
    """Texture in a box on a constant."""
    data = np.full(shape, background, np.float32)
    spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    data[spans] = background + 10 + smooth_volume(tuple(np.subtract(stop, start)))
    return Image.from_array(data, affine)


def box_of(part, whole):
    """First and one-past-last voxel of one grid on another with the same axes."""
    start = part.voxel_map_to(whole)[:3, 3]
    return np.rint(start).astype(int), np.rint(start).astype(int) + part.shape


def shifted(x, y, z):
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return Affine(matrix)


def test_the_fixed_grid_is_cropped_to_both_objects(backend):
    fixed, moving = boxed((10, 10, 10), (20, 20, 20)), boxed((14, 12, 8), (24, 18, 18))
    start, stop = box_of(prepare(fixed, moving, Affine.identity(), backend=backend).grid, fixed.grid)
    needed = np.array([10, 10, 8]), np.array([24, 20, 20])
    np.testing.assert_array_equal(start, np.maximum(needed[0] - MARGIN, 0))
    np.testing.assert_array_equal(stop, np.minimum(needed[1] + MARGIN, SHAPE))


def test_foreground_is_the_object_or_the_mask(backend):
    image = boxed((10, 10, 10), (20, 20, 20))
    mask = Image.from_array(ellipsoid(SHAPE, 0.3).astype(np.uint8))
    plain = prepare(image, image, Affine.identity(), backend=backend)
    masked = prepare(image, image, Affine.identity(), backend=backend, fixed_mask=mask)
    np.testing.assert_array_equal(backend.download(plain.foreground), image.data != 0)
    np.testing.assert_array_equal(backend.download(masked.foreground), mask.data != 0)


def test_an_object_that_the_field_of_view_cuts_gets_a_mask(backend):
    whole, cut = boxed((10, 10, 10), (20, 20, 20)), boxed((10, 10, 0), (20, 20, 20))
    pair = prepare(whole, cut, Affine.identity(), backend=backend)
    assert pair.channels[0].fixed_mask is None
    mask = backend.download(pair.channels[0].moving_mask)
    assert (mask[..., 0] == 0).all(), "the outermost voxels of the grid do not count"
    assert (mask[..., 1:] == 1).all()
    still, moved = normalise(whole, backend), normalise(cut, backend)
    open_ended = cropping.crop_pair(still, moved, Affine.identity(), backend=backend, beyond="background")
    assert open_ended.channels[0].moving_mask is None


@pytest.mark.parametrize("flip", [1, -1])
def test_moving_foreground_follows_the_affine(backend, flip):
    """An oblique, mirrored moving grid whose object lands beside the fixed one."""
    fixed = boxed((10, 10, 10), (16, 16, 16), affine=np.diag([2.0, 2, 2, 1]))
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([0.2, 0.3, -0.2]).as_matrix() * (1.5 * flip, 1.5, 1.5)
    moving = boxed((20, 8, 6), (30, 14, 12), affine=turn)
    corners = np.array([(i, j, k) for i in (20, 29) for j in (8, 13) for k in (6, 11)])
    world = apply_affine(moving.affine, corners)
    affine = shifted(*(world.mean(axis=0) - apply_affine(fixed.affine, (22, 16, 14))))
    landed = apply_affine(fixed.grid.inverse_affine, affine.inverse().map_points(world))
    pair = prepare(fixed, moving, affine, backend=backend)
    start, stop = box_of(pair.grid, fixed.grid)
    assert (start <= np.clip(landed.min(axis=0) - MARGIN, 0, None)).all()
    assert (stop >= np.minimum(landed.max(axis=0) + MARGIN, SHAPE)).all()
    np.testing.assert_array_equal(pair.affine, affine.matrix)


def test_volumes_are_cut_from_the_normalised_images(backend):
    fixed = boxed((10, 12, 9), (20, 22, 19), background=7)
    moving = boxed((14, 12, 8), (24, 18, 18), background=-3)
    pair = prepare(fixed, moving, Affine.identity(), backend=backend)
    for volume, grid, image in (
        (pair.channels[0].fixed, pair.grid, fixed),
        (pair.channels[0].moving, pair.channels[0].moving_grid, moving),
    ):
        start, stop = box_of(grid, image.grid)
        spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        whole = backend.download(normalise(image, backend).volume)
        np.testing.assert_array_equal(backend.download(volume), whole[spans])
    assert pair.channels[0].moving.shape == (10 + 2 * MARGIN, 6 + 2 * MARGIN, 10 + 2 * MARGIN)


def test_images_with_a_background_need_no_masks(backend):
    image = boxed((10, 10, 10), (20, 20, 20))
    pair = prepare(image, image, Affine.identity(), backend=backend)
    assert pair.channels[0].fixed_mask is None
    assert pair.channels[0].moving_mask is None


def test_images_without_a_background_count_on_their_whole_grid(backend):
    full = Image.from_array(smooth_volume(SHAPE) + 1)
    pair = prepare(full, full, Affine.identity(), backend=backend)
    assert pair.grid == full.grid
    assert pair.channels[0].moving_grid == full.grid
    for mask in (pair.channels[0].fixed_mask, pair.channels[0].moving_mask):
        found = backend.download(mask)
        assert (found[1:-1, 1:-1, 1:-1] == 1).all()
        assert found.sum() == np.prod(np.array(full.grid.shape) - 2)


def test_a_full_moving_image_leaves_the_box_to_the_fixed_one(backend):
    fixed, moving = boxed((10, 10, 10), (20, 20, 20)), Image.from_array(smooth_volume((9, 9, 9)) + 1)
    pair = prepare(fixed, moving, Affine.identity(), backend=backend)
    start, stop = box_of(pair.grid, fixed.grid)
    np.testing.assert_array_equal(start, [10 - MARGIN] * 3)
    np.testing.assert_array_equal(stop, [20 + MARGIN] * 3)
    assert pair.channels[0].fixed_mask is None
    assert backend.download(pair.channels[0].moving_mask).shape == (9, 9, 9)


def test_masks_are_cropped_and_count_any_value_but_zero(backend):
    image = boxed((10, 10, 10), (20, 20, 20))
    values = np.where(ellipsoid(SHAPE, 0.3), -2, 0).astype(np.int16)
    mask = Image.from_array(values)
    pair = prepare(image, image, Affine.identity(), backend=backend, fixed_mask=mask, moving_mask=mask)
    for cut, grid in (
        (pair.channels[0].fixed_mask, pair.grid),
        (pair.channels[0].moving_mask, pair.channels[0].moving_grid),
    ):
        start, stop = box_of(grid, image.grid)
        spans = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        np.testing.assert_array_equal(backend.download(cut), values[spans] != 0)
        assert cut.dtype == np.float32


def test_one_slice_stays_one_slice(backend):
    image = boxed((10, 10, 0), (20, 20, 1), shape=(30, 30, 1))
    pair = prepare(image, image, Affine.identity(), backend=backend)
    start, stop = box_of(pair.grid, image.grid)
    assert (start[2], stop[2]) == (0, 1)
    assert (start[:2] <= 10 - MARGIN).all()
    assert (stop[:2] >= 20 + MARGIN).all()
    assert pair.channels[0].moving.shape == (10 + 2 * MARGIN, 10 + 2 * MARGIN, 1)
