"""Jacobian determinants: exact on any grid, negative where a map folds."""

from __future__ import annotations

import numpy as np
import pytest

from scenes import oblique_grid, straight_grid
from warpline.space import Displacement
from warpline.space.grid import apply_affine
from warpline.space.jacobian import jacobian_determinant

SHAPE = (18, 16, 14)


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
