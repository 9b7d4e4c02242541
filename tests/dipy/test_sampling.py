"""Interpolation at edges and ties, against DIPY's."""

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


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_edges_and_ties(interpolation):
    ramp = np.outer([10.0, 20, 30, 40, 50], np.ones(5))
    for start in (-1.25, -1.0, -0.6, -0.5, -0.4, 0.0, 0.25, 0.5):
        move = np.array([[0.5, 0, start], [0, 1, 0], [0, 0, 1]])
        real = theirs.AffineMap(move, domain_grid_shape=(13, 5), codomain_grid_shape=(5, 5))
        mine = ours.AffineMap(move, (13, 5), None, (5, 5))
        np.testing.assert_array_equal(
            mine.transform(ramp, interpolation), real.transform(ramp, interpolation=interpolation)
        )


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "uint32", "uint64"])
def test_nearest_takes_the_labels_that_dipy_refuses(dtype):
    labels = image(GRIDS[3][1][0], "f8").clip(0, 120).astype(dtype)
    mine, real = both(3, shear(3))
    carried = mine.transform(labels, "nearest")
    assert carried.dtype == labels.dtype
    np.testing.assert_array_equal(carried, real.transform(labels.astype(np.float64), interpolation="nearest"))
