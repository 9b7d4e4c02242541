"""Jacobian determinants: exact on any grid, negative where a map folds."""

from __future__ import annotations

import numpy as np
import pytest

from scenes import FIXED, MOVING, TURN, oblique_grid, smooth_field, straight_grid, world_points
from warpline.resampling import pull_back
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import apply_affine
from warpline.space.jacobian import HALF_STEP, determinant, jacobian_at, jacobian_determinant, pullback_determinant

SHAPE = (18, 16, 14)
CHAINS = {
    "affine": TURN,
    "field": smooth_field(FIXED),
    "field and affine": Chain((smooth_field(FIXED), TURN)),
    "affine and field": Chain((TURN, smooth_field(MOVING))),
}


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_determinant_does_not_depend_on_the_grid(backend, mirrored):
    matrix = np.array([[1.1, 0.2, 0], [-0.1, 0.9, 0.1], [0.05, 0, 1.2]])
    grid = oblique_grid((6, 7, 8), mirrored)
    world = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    field = np.moveaxis(world @ (matrix - np.eye(3)).T, -1, 0).astype(np.float32)
    found = jacobian_determinant(Displacement(field, grid), backend)
    np.testing.assert_allclose(found, np.linalg.det(matrix), atol=1e-4)


def test_a_fold_has_a_negative_determinant(backend):
    field = np.zeros((3, *SHAPE), np.float32)
    field[0] = -2.0 * np.arange(18)[:, None, None]
    np.testing.assert_allclose(jacobian_determinant(Displacement(field, straight_grid(SHAPE)), backend), -1)


def test_determinant_of_an_affine_is_its_own(backend):
    values = pullback_determinant(pull_back(TURN, FIXED, backend), backend)
    np.testing.assert_allclose(values, np.linalg.det(TURN.matrix[:3, :3]), rtol=1e-6)


@pytest.mark.parametrize("grid", [FIXED, MOVING], ids=["oblique", "flipped"])
def test_determinant_of_an_affine_written_as_a_field_is_exact(grid, backend):
    linear = np.array([[1.1, 0.2, -0.1], [0.05, 0.9, 0.15], [-0.2, 0.1, 1.05]])
    points = world_points(grid)
    field = np.moveaxis(points @ linear.T - points, -1, 0).astype(np.float32)
    turned = Chain((Displacement(field, grid), Affine(np.diag([-1.0, 1.0, 2.0, 1.0]))))
    values = pullback_determinant(pull_back(turned, grid, backend), backend)
    np.testing.assert_allclose(values, -2 * np.linalg.det(linear), rtol=1e-5)


@pytest.mark.parametrize("name", CHAINS)
def test_determinant_is_that_of_mapped_neighbours(name, backend):
    """Central differences of mapped points between the voxels of the grid."""
    values = pullback_determinant(pull_back(CHAINS[name], FIXED, backend), backend)
    moved = CHAINS[name].map_points(world_points(FIXED))
    slopes = np.stack([np.gradient(moved, axis=axis)[1:-1, 1:-1, 1:-1] for axis in range(3)], axis=-1)
    expected = np.linalg.det(slopes @ np.linalg.inv(FIXED.affine[:3, :3]))
    np.testing.assert_allclose(values[1:-1, 1:-1, 1:-1], expected, atol=2e-5)


def test_the_jacobian_at_points_is_that_of_an_affine_field():
    linear = np.array([[1.1, 0.2, -0.1], [0.05, 0.9, 0.15], [-0.2, 0.1, 1.05]])
    points = world_points(FIXED)
    warp = Displacement(np.moveaxis(points @ linear.T - points, -1, 0).astype(np.float32), FIXED)
    inner = points[2:-2, 2:-2, 2:-2].reshape(-1, 3)
    rounding = np.abs(warp.field).max() * np.finfo(np.float32).eps / HALF_STEP
    np.testing.assert_allclose(jacobian_at(warp, inner), np.broadcast_to(linear, (len(inner), 3, 3)), atol=rounding)


def test_determinants_are_those_of_every_matrix():
    matrices = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(determinant(matrices), np.linalg.det(np.moveaxis(matrices, (0, 1), (-2, -1))), atol=1e-5)
