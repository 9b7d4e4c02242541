"""A chain as one grid sees it."""

from __future__ import annotations

import numpy as np
import pytest

from scenes import FIXED, MOVING, TURN, smooth_field, world_points
from warpline.resampling import pull_back
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid, apply_affine

CHAINS = {
    "affine": TURN,
    "field": smooth_field(FIXED),
    "field and affine": Chain((smooth_field(FIXED), TURN)),
    "affine and field": Chain((TURN, smooth_field(MOVING))),
}


@pytest.mark.parametrize("name", CHAINS)
def test_voxels_are_mapped_points(name, backend):
    mapping = pull_back(CHAINS[name], FIXED, backend)
    expected = apply_affine(MOVING.inverse_affine, CHAINS[name].map_points(world_points(FIXED)))
    slab = slice(3, 9)
    np.testing.assert_allclose(np.moveaxis(mapping.voxels(MOVING, slab), 0, -1), expected[slab], atol=1e-5)


def test_determinant_of_an_affine_is_its_own(backend):
    values = pull_back(TURN, FIXED, backend).determinant(backend)
    np.testing.assert_allclose(values, np.linalg.det(TURN.matrix[:3, :3]), rtol=1e-6)


@pytest.mark.parametrize("grid", [FIXED, MOVING], ids=["oblique", "flipped"])
def test_determinant_of_an_affine_written_as_a_field_is_exact(grid, backend):
    linear = np.array([[1.1, 0.2, -0.1], [0.05, 0.9, 0.15], [-0.2, 0.1, 1.05]])
    points = world_points(grid)
    field = np.moveaxis(points @ linear.T - points, -1, 0).astype(np.float32)
    turned = Chain((Displacement(field, grid), Affine(np.diag([-1.0, 1.0, 2.0, 1.0]))))
    values = pull_back(turned, grid, backend).determinant(backend)
    np.testing.assert_allclose(values, -2 * np.linalg.det(linear), rtol=1e-5)


@pytest.mark.parametrize("name", CHAINS)
def test_determinant_is_that_of_mapped_neighbours(name, backend):
    """Central differences of mapped points between the voxels of the grid."""
    values = pull_back(CHAINS[name], FIXED, backend).determinant(backend)
    moved = CHAINS[name].map_points(world_points(FIXED))
    slopes = np.stack([np.gradient(moved, axis=axis)[1:-1, 1:-1, 1:-1] for axis in range(3)], axis=-1)
    expected = np.linalg.det(slopes @ np.linalg.inv(FIXED.affine[:3, :3]))
    np.testing.assert_allclose(values[1:-1, 1:-1, 1:-1], expected, atol=2e-5)


def test_a_grid_that_is_almost_the_same_is_another_one(backend):
    """A thousandth of a degree about a far point: negligible per voxel, not over the grid."""
    turn = np.eye(4)
    turn[0, 1], turn[1, 0] = -1e-4, 1e-4
    long = Grid((300, 4, 4), np.diag([1.0, 1, 1, 1]))
    field = np.zeros((3, 300, 4, 4), np.float32)
    field[2] = np.arange(4)[:, None] * 5
    almost = Grid(long.shape, turn @ long.affine)
    chain = Displacement(field, almost)
    found = np.moveaxis(pull_back(chain, long, backend).voxels(long, slice(None)), 0, -1)
    expected = apply_affine(long.inverse_affine, chain.map_points(world_points(long)))
    np.testing.assert_allclose(found[5:-5, 1:-1, 1:-1], expected[5:-5, 1:-1, 1:-1], atol=1e-4)
