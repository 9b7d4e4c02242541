"""Maps of ours and of DIPY's with the same grids and fields."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from warpline import dipy as ours

theirs = pytest.importorskip("dipy.align.imwarp")


STATIC = {
    2: ((24, 20), np.array([[1.5, 0.2, -16], [-0.1, 1.2, -11], [0, 0, 1]])),
    3: ((14, 16, 11), np.array([[1.5, 0.1, 0, -9], [-0.1, 1.3, 0.2, -9], [0, 0.1, 2, -8], [0, 0, 0, 1]])),
}


MOVING = {
    2: ((19, 23), np.array([[-1.3, 0, 12], [0.3, 1.1, -12], [0, 0, 1]])),
    3: ((15, 13, 17), np.array([[-1.2, 0, 0.1, 8], [0, 1.7, 0, -9], [0.2, 0, 1.1, -7], [0, 0, 0, 1]])),
}


def smooth_field(shape, seed):
    noise = np.random.default_rng(seed).normal(size=(*shape, len(shape)))
    field = ndimage.gaussian_filter(noise, (*[2.5] * len(shape), 0))
    return (2.0 * field / np.abs(field).max()).astype(np.float32)


def prealign(dim):
    matrix = np.eye(dim + 1)
    matrix[:dim] += np.random.default_rng(7).normal(scale=0.06, size=(dim, dim + 1))
    return matrix


def pair(dim, is_inverse=True, linear=True):
    """Our map and DIPY's with the same grids and fields, set up as SyN leaves them."""
    maps = []
    for kind in (ours.DiffeomorphicMap, theirs.DiffeomorphicMap):
        mapping = kind(
            dim,
            STATIC[dim][0],
            disp_grid2world=STATIC[dim][1],
            domain_shape=MOVING[dim][0],
            domain_grid2world=MOVING[dim][1],
            codomain_shape=STATIC[dim][0],
            codomain_grid2world=STATIC[dim][1],
            prealign=np.linalg.inv(prealign(dim)) if linear else None,
        )
        mapping.forward, mapping.backward = smooth_field(STATIC[dim][0], 1), smooth_field(STATIC[dim][0], 2)
        mapping.is_inverse = is_inverse
        maps.append(mapping)
    return maps


def image(shape, dtype="f8", seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 50 + 100).astype(dtype)
