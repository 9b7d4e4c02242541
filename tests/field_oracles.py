"""Operations on displacement fields again as slow float64 loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from oracles import linear_at, position, remembered, slope_at, voxels


@remembered
def compose(outer, inner, scale=1.0):
    """``out(i) = s inner(i) + outer(i + s inner(i))``."""
    out = np.empty(inner.shape)
    for index in voxels(inner.shape[1:]):
        step = [scale * float(inner[(c, *index)]) for c in range(3)]
        point = [i + s for i, s in zip(index, step, strict=True)]
        for c in range(3):
            out[(c, *index)] = step[c] + linear_at(outer[c], point)
    return out


@remembered
def invert(field, start, tolerance, iterations):
    """Each voxel alone: full steps for the first 8, 0.4 of a step after, none once the residual is small."""
    out = np.asarray(start, dtype=np.float64).copy()
    for index in voxels(field.shape[1:]):
        for step in range(iterations):
            v = [out[(c, *index)] for c in range(3)]
            point = [i + d for i, d in zip(index, v, strict=True)]
            residual = [v[c] + linear_at(field[c], point) for c in range(3)]
            if math.hypot(*residual) <= tolerance:
                break
            for c in range(3):
                out[(c, *index)] -= (1.0 if step < 8 else 0.4) * residual[c]
    return out


def inverse_residual(field, inverse):
    """``|v + field(i + v)|`` at every voxel: how far `inverse` is from undoing `field`, in voxels."""
    gap = compose(field, inverse)
    out = np.empty(gap.shape[1:])
    for index in voxels(out.shape):
        out[index] = math.hypot(*gap[(slice(None), *index)])
    return out


@remembered
def jacobian(field):
    """``det(I + d field / d x)`` at every voxel."""
    out = np.empty(field.shape[1:])
    for index in voxels(out.shape):
        (a, b, c), (d, e, f), (g, h, i) = (
            [slope_at(field[row], index, axis) + (row == axis) for axis in range(3)] for row in range(3)
        )
        out[index] = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return out


def statistics(array, share, mask=None):
    """Number, mean, value of rank ``min(floor(share n), n - 1)`` and maximum of absolute values or lengths."""
    stack = array.reshape(-1, *array.shape[-3:])
    lengths = sorted(
        math.hypot(*(float(c) for c in stack[(slice(None), *index)]))
        for index in voxels(stack.shape[1:])
        if mask is None or mask[index]
    )
    count = len(lengths)
    return count, sum(lengths) / count, lengths[min(int(share * count), count - 1)], lengths[-1]


def extent(volume, matrix):
    """Lowest and highest coordinates of voxels that are not 0."""
    ends = np.array([[math.inf] * 3, [-math.inf] * 3])
    for index in voxels(volume.shape):
        if volume[index] != 0:
            where = position([float(c) for c in index], matrix, None)
            ends = np.array([np.minimum(ends[0], where), np.maximum(ends[1], where)])
    return ends


@remembered
def least_jacobian(field):
    """The least of the determinants by one-sided differences and of the tetrahedra in the cubes above and below."""
    return extreme_jacobian(field, min)


def extreme_jacobian(field, choose):
    """One of these determinants at every voxel, chosen by `min` or `max`."""
    shape, out = field.shape[1:], np.empty(field.shape[1:])
    for index in voxels(shape):
        found = []
        for signs in product((-1, 1), repeat=3):
            columns = [_one_sided(field, index, axis, sign) for axis, sign in enumerate(signs)]
            found += [np.linalg.det(np.stack(columns, axis=1))] if all(c is not None for c in columns) else []
        for sign in (-1, 1):
            cube = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]]) * sign
            inside = all(0 <= i + sign < n for i, n in zip(index, shape, strict=True))
            moved = [_moved_edge(field, index, edge) for edge in cube] if inside else []
            found += [np.linalg.det(moved) / np.linalg.det(cube)] if inside else []
        out[index] = choose(found)
    return out


def _one_sided(field, index, axis, sign):
    """Column of the Jacobian by the difference in one direction; None beyond the grid."""
    unit = np.eye(3)[axis]
    if field.shape[axis + 1] == 1:
        return unit
    neighbour = index[axis] + sign
    return sign * _moved_edge(field, index, sign * unit) if 0 <= neighbour < field.shape[axis + 1] else None


def _moved_edge(field, index, edge):
    """Where the map takes an edge that begins at a voxel."""
    end = tuple(int(i + e) for i, e in zip(index, edge, strict=True))
    return edge + np.float64(field[(slice(None), *end)]) - field[(slice(None), *index)]
