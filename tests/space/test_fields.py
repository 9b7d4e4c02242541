"""Displacement fields: units, grids and what continues them."""

from __future__ import annotations

import numpy as np
import pytest

from oblique_pair import oblique_grid, straight_grid
from synthetic import smooth_field
from warpline.space import fields
from warpline.space.grid import apply_affine

SHAPE = (18, 16, 14)


@pytest.mark.parametrize("mirrored", [False, True])
def test_units_change_with_the_axes_of_the_grid(mirrored):
    grid, field = oblique_grid(SHAPE, mirrored=mirrored), smooth_field(SHAPE, 1)
    world = fields.to_world(field, grid)
    places = np.moveaxis(np.indices(SHAPE), 0, -1)
    start, end = (apply_affine(grid.affine, p) for p in (places, places + np.moveaxis(field, 0, -1)))
    np.testing.assert_allclose(np.moveaxis(world, 0, -1), end - start, atol=1e-5)
    np.testing.assert_allclose(fields.to_voxels(world, grid), field, atol=1e-6)
    assert world.dtype == np.float32
    assert world.flags.c_contiguous


def test_a_field_on_its_own_grid_is_left_alone(backend):
    field = backend.upload(smooth_field(SHAPE))
    assert fields.move_to_grid(field, straight_grid(SHAPE), straight_grid(SHAPE), backend) is field


def test_a_field_moved_to_a_finer_grid_keeps_its_millimetres(backend):
    old = straight_grid((10, 9, 8), (3.0, 4.0, 5.0))
    new = old.resized((30, 18, 8))
    places = np.indices(old.shape)
    ramp = np.stack([0.1 * places[0], 0.2 * places[1] - 0.05 * places[2], 0.1 + 0.03 * places[0]]).astype(np.float32)
    moved = backend.download(fields.move_to_grid(backend.upload(ramp), old, new, backend))
    inner = (slice(None), slice(3, -3), slice(2, -2), slice(1, -1))
    world = fields.to_world(moved, new)[inner]
    where = apply_affine(new.voxel_map_to(old), np.moveaxis(np.indices(new.shape), 0, -1))[inner[1:]]
    expected = np.stack([0.1 * where[..., 0], 0.2 * where[..., 1] - 0.05 * where[..., 2], 0.1 + 0.03 * where[..., 0]])
    np.testing.assert_allclose(world, expected * np.reshape([3, 4, 5], (3, 1, 1, 1)), atol=1e-4)


def test_an_extended_field_fades_smoothly_to_zero(backend):
    old = straight_grid((8, 7, 6))
    new = old.cropped((-12, -12, -12), (20, 19, 18))
    field = smooth_field(old.shape, 2, largest=3.0)
    extended = backend.download(fields.extend(backend.upload(field), old, new, 10, backend))
    np.testing.assert_allclose(extended[:, 12:20, 12:19, 12:18], field, atol=1e-6)
    for axis in (1, 2, 3):
        for face in (0, 1, -2, -1):
            assert not np.take(extended, face, axis).any()
        steepest = max(np.abs(np.diff(field, axis=axis)).max(), 3.0 * np.pi / 2 / 10)
        assert np.abs(np.diff(extended, axis=axis)).max() <= 1.01 * steepest


def test_nothing_fades_where_the_box_is_the_grid(backend):
    field = smooth_field(SHAPE, 2)
    extended = fields.extend(backend.upload(field), straight_grid(SHAPE), straight_grid(SHAPE), 10, backend)
    np.testing.assert_array_equal(backend.download(extended), field)
