"""Displacement fields: units, grids, inverses and what is measured on them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from synthetic import fading_field, smooth_field
from warpline.space import Displacement, fields
from warpline.space.grid import Grid, apply_affine

SHAPE = (18, 16, 14)


def oblique_grid(shape=SHAPE, mirrored=False):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec([0.4, 0.1, -0.3]).as_matrix() * (1.0, 2.0, 3.5)
    if mirrored:
        affine[:3, 1] *= -1
    affine[:3, 3] = (5, -8, 20)
    return Grid(shape, affine)


def straight_grid(shape=SHAPE, size=(1.0, 1.0, 1.0)):
    return Grid(shape, np.diag([*size, 1.0]))


@pytest.mark.parametrize("mirrored", [False, True])
def test_units_change_with_the_axes_of_the_grid(mirrored):
    grid, field = oblique_grid(mirrored=mirrored), smooth_field(SHAPE, 1)
    world = fields.to_world(field, grid)
    places = np.moveaxis(np.indices(SHAPE), 0, -1)
    start, end = (apply_affine(grid.affine, p) for p in (places, places + np.moveaxis(field, 0, -1)))
    np.testing.assert_allclose(np.moveaxis(world, 0, -1), end - start, atol=1e-5)
    np.testing.assert_allclose(fields.to_voxels(world, grid), field, atol=1e-6)
    assert world.dtype == np.float32
    assert world.flags.c_contiguous


def test_a_field_on_its_own_grid_is_left_alone(backend):
    field = backend.upload(smooth_field(SHAPE))
    assert fields.move_to_grid(field, straight_grid(), straight_grid(), backend) is field


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


def test_an_extended_field_is_itself_inside_fades_smoothly_and_ends_at_zero(backend):
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
    extended = fields.extend(backend.upload(field), straight_grid(), straight_grid(), 10, backend)
    np.testing.assert_array_equal(backend.download(extended), field)


@pytest.mark.parametrize("shape", [SHAPE, (20, 18, 1)])
def test_the_inverse_undoes_the_field(backend, shape):
    field = fading_field(shape, 4, largest=1.5)
    inverse, residual = fields.invert(backend.upload(field), backend)
    assert residual <= fields.INVERSE_TOLERANCE
    v = np.float64(backend.download(inverse))
    there = np.indices(shape) + v
    left = v + [map_coordinates(np.float64(u), there, order=1, mode="nearest") for u in field]
    assert np.linalg.norm(left, axis=0).max() <= 1.01 * fields.INVERSE_TOLERANCE


def test_a_good_start_needs_no_steps(backend):
    field = backend.upload(fading_field(SHAPE, 4))
    inverse, _ = fields.invert(field, backend)
    again, residual = fields.invert(field, backend, start=inverse)
    assert residual <= fields.INVERSE_TOLERANCE
    np.testing.assert_array_equal(backend.download(again), backend.download(inverse))
    np.testing.assert_array_equal(backend.download(fields.inverse_of(field, backend)), backend.download(inverse))


def test_a_shift_and_its_opposite_have_no_inverse_error(backend):
    shift = np.zeros((3, *SHAPE), np.float32)
    shift[0] = 1.25
    there, back = backend.upload(shift), backend.upload(-shift)
    error = fields.inverse_error(there, back, backend)
    assert (error.mean, error.p99, error.largest) == (0, 0, 0)
    twice = fields.inverse_error(there, there, backend)
    assert (twice.mean, twice.p99, twice.largest) == (2.5, 2.5, 2.5)


def test_errors_are_counted_in_the_mask_only(backend):
    forward = np.zeros((3, *SHAPE), np.float32)
    forward[1, :9] = 0.5
    nothing = backend.zeros(forward.shape)
    mask = np.indices(SHAPE)[0] >= 9
    assert fields.inverse_error(backend.upload(forward), nothing, backend, mask).largest == 0
    assert fields.inverse_error(backend.upload(forward), nothing, backend, ~mask).mean == 0.5


def test_the_order_statistics_of_round_trips(backend):
    missed = np.zeros((3, 10, 10, 10), np.float32)
    missed[0, 0, 0, :8] = 2
    missed[0, 0, 1:3, :6] = 1
    error = fields.round_trip_error(backend.upload(missed), backend)
    assert error.mean == pytest.approx(0.028)
    assert (error.p99, error.largest) == (1, 2)
    nowhere = backend.zeros((10, 10, 10), np.uint8)
    assert fields.round_trip_error(backend.upload(missed), backend, nowhere) == fields.InverseError(0, 0, 0)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_determinant_of_a_linear_map_does_not_depend_on_the_grid(backend, mirrored):
    matrix = np.array([[1.1, 0.2, 0], [-0.1, 0.9, 0.1], [0.05, 0, 1.2]])
    grid = oblique_grid((6, 7, 8), mirrored)
    world = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    field = np.moveaxis(world @ (matrix - np.eye(3)).T, -1, 0).astype(np.float32)
    found = fields.jacobian_determinant(Displacement(field, grid), backend)
    np.testing.assert_allclose(found, np.linalg.det(matrix), atol=1e-4)


def test_a_fold_has_a_negative_determinant(backend):
    field = np.zeros((3, *SHAPE), np.float32)
    field[0] = -2.0 * np.arange(18)[:, None, None]
    np.testing.assert_allclose(fields.jacobian_determinant(Displacement(field, straight_grid()), backend), -1)
