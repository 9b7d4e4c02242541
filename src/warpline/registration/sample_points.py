"""Sample points of linear metrics, spread over the foreground of the fixed image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from warpline.backends import Array
from warpline.registration.pyramid import PyramidLevel


def sample_points(level: PyramidLevel, most: int, rim: float) -> Array:
    """Evenly spread points (N, 3) float32 in voxels of the level, on the backend.

    They lie in the foreground and a rim around it (mm), one at most per voxel, each displaced from the voxel's centre
    by a fixed low-discrepancy sequence: the additive recurrence of the plastic number's generalisation to 3-D.
    """
    inside = np.flatnonzero(_dilated_foreground(level, rim))
    count = min(most, len(inside))
    numbers = np.arange(count, dtype=np.float64, like=inside)
    chosen = inside[_evenly_spread(numbers, len(inside))]
    points = level.backend.empty((count, 3))
    stride = level.array.size
    for axis, n in enumerate(level.grid.shape):
        stride //= n
        place = numbers * (1 / 1.2207440846057596 ** (axis + 1)) + 0.5
        place -= np.floor(place)
        place -= 0.5
        place += chosen // stride % n
        points[:, axis] = place.clip(0, n - 1)
    return points


def _evenly_spread(numbers: Array, among: int) -> Array:
    """Whole numbers (N,) from 0 to among - 1, evenly spread, from 0.0 ... N - 1."""
    places = (numbers * ((among - 1) / max(len(numbers) - 1, 1))).astype(np.int64)
    if len(numbers) > 1:
        places[-1:] = among - 1
    return places


def _dilated_foreground(level: PyramidLevel, rim: float) -> Array:
    """Voxels inside the mask whose centre is at most `rim` mm from that of a voxel of the foreground."""
    foreground = level.foreground
    if rim == 0:
        return foreground
    sizes = level.grid.voxel_size
    reach = np.minimum(np.ceil(rim / sizes), np.array(foreground.shape) - 1).astype(int)
    lengths = np.sqrt(np.square(np.indices(reach + 1) * sizes[:, None, None, None]).sum(axis=0))
    widths = (lengths <= rim).sum(axis=2) - 1  # of the run along the last axis at each shift along the others
    runs = [foreground]
    for width in range(1, widths.max() + 1):
        runs.append(_union_of_shifts(runs[-1], [(foreground, width)], axis=2))
    planes = [
        _union_of_shifts(runs[row[0]], [(runs[w], j) for j, w in enumerate(row) if w >= 0 < j], axis=1)
        for row in widths
        if row[0] >= 0
    ]
    dilated = _union_of_shifts(planes[0], [(plane, i) for i, plane in enumerate(planes) if i], axis=0)
    return dilated if level.mask is None else dilated & level.inside


def _union_of_shifts(first: Array, others: Iterable[tuple[Array, int]], axis: int) -> Array:
    """Where `first` is true, or one of the others shifted to either side along an axis."""
    union = first.copy()
    for other, shift in others:
        above, below = (*[slice(None)] * axis, slice(shift, None)), (*[slice(None)] * axis, slice(None, -shift))
        np.logical_or(union[above], other[below], out=union[above])
        np.logical_or(union[below], other[above], out=union[below])
    return union
