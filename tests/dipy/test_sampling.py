"""Interpolation at edges and ties, against DIPY's."""

from __future__ import annotations

import numpy as np
import pytest

from dipy_affine_maps import GRIDS, both, image, shear
from warpline import dipy as ours

theirs = pytest.importorskip("dipy.align.imaffine")


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
