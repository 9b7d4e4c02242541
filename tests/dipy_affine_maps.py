"""Affine maps of ours and of DIPY's with the same grids, and images on them."""

from __future__ import annotations

import numpy as np
import pytest

from warpline import dipy as ours

theirs = pytest.importorskip("dipy.align.imaffine")

GRIDS = {
    2: (
        ((17, 14), np.array([[1.5, 0.2, -12], [-0.1, 1.2, -9], [0, 0, 1]])),
        ((13, 18), np.array([[-1.1, 0, 9], [0.3, 0.9, -11], [0, 0, 1]])),
    ),
    3: (
        ((12, 14, 9), np.array([[1.5, 0.1, 0, -9], [-0.1, 1.3, 0.2, -9], [0, 0.1, 2, -8], [0, 0, 0, 1]])),
        ((15, 11, 13), np.array([[-1.2, 0, 0.1, 8], [0, 1.7, 0, -9], [0.2, 0, 1.1, -7], [0, 0, 0, 1]])),
    ),
}


def shear(dim, shift=1.0):
    matrix = np.eye(dim + 1)
    matrix[:dim] += np.random.default_rng(dim).normal(scale=0.08, size=(dim, dim + 1))
    matrix[:dim, dim] += shift
    return matrix


def image(shape, dtype, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 50 + 100).astype(dtype)


def both(dim, matrix):
    (static_shape, static), (moving_shape, moving) = GRIDS[dim]
    args = (matrix, static_shape, static, moving_shape, moving)
    names = ("domain_grid_shape", "domain_grid2world", "codomain_grid_shape", "codomain_grid2world")
    return ours.AffineMap(*args), theirs.AffineMap(matrix, **dict(zip(names, args[1:], strict=True)))
