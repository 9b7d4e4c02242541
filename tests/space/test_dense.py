"""A chain as one grid sees it."""

from __future__ import annotations

import numpy as np
import pytest

from scenes import FIXED, MOVING, TURN, smooth_field, world_points
from warpline.resampling import pull_back
from warpline.space import Chain, Displacement
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
