"""The operations on descriptors again as slow float64 loops; entries are not rounded."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from oracles import linear_at, position, remembered, slope_at, voxels
from similarity_oracles import on_face, weight_at

CHANNELS, USED, TOP = 16, 12, 127

NEIGHBOURS = [tuple(sign * (a == axis) for a in range(3)) for axis in range(3) for sign in (-1, 1)]
PAIRS = [(a, b) for a, b in combinations(range(6), 2) if a // 2 != b // 2]


@remembered
def describe(volume, floor):
    """``127 exp(-D / (V + floor))`` for the pairs of neighbours of every voxel, and four zeros: (I, J, K, 16)."""
    source, out = np.pad(np.float64(volume), 2, mode="edge"), np.zeros((*volume.shape, CHANNELS))
    for index in voxels(volume.shape):
        windows = [
            source[tuple(slice(i + step + 1, i + step + 4) for i, step in zip(index, neighbour, strict=True))]
            for neighbour in NEIGHBOURS
        ]
        means = [np.mean((windows[a] - windows[b]) ** 2) for a, b in PAIRS]
        distances = [mean - min(means) for mean in means]
        spread = sum(distances) / USED + floor
        out[index][:USED] = [TOP * math.exp(-distance / spread) for distance in distances]
    return out


@remembered
def warp(descriptors, field):
    """``descriptors(i + field(i))``, linear, clamped."""
    out = np.empty(descriptors.shape)
    for index in voxels(descriptors.shape[:3]):
        point = position(index, None, field)
        out[index] = [linear_at(descriptors[..., channel], point) for channel in range(CHANNELS)]
    return out


@remembered
def forces(fixed, moving, mask=None):
    """Value, force on the fixed descriptors, force on the moving ones."""
    sides, shape = [np.float64(side) / TOP for side in (fixed, moving)], fixed.shape[:3]
    total, found = 0.0, np.zeros((2, 3, *shape))
    for index in voxels(shape):
        weight = weight_at(index, mask)
        apart = sides[1][index] - sides[0][index]
        total += weight * sum(apart**2)
        if on_face(index, shape):
            continue
        for side, sign in enumerate((1, -1)):
            for axis in range(3):
                slopes = [slope_at(sides[side][..., channel], index, axis) for channel in range(CHANNELS)]
                found[(side, axis, *index)] = sign * weight * sum(apart * slopes)
    return total / math.prod(shape), found[0], found[1]
