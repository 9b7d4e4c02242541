"""Sampling and filters again as slow float64 loops, so plain that they need no test of their own.

Other operations have theirs in `affine_oracles`, `descriptor_oracles`, `field_oracles` and `similarity_oracles`.
"""

from __future__ import annotations

import math
import pickle
from copy import deepcopy
from functools import wraps
from itertools import product

import numpy as np

# -- sampling -----------------------------------------------------------------------------------------------


def remembered(oracle):
    """The oracle, computed once for each input, however many backends are compared with it."""
    found = {}

    @wraps(oracle)
    def remembering(*arguments, **options):
        key = pickle.dumps((arguments, options))
        if key not in found:
            found[key] = oracle(*arguments, **options)
        return deepcopy(found[key])

    return remembering


def voxels(shape):
    """All indices of a grid, last axis fastest."""
    return product(*(range(n) for n in shape))


def clamp(x, n):
    """Pull a coordinate into [0, n - 1]."""
    return min(max(x, 0.0), n - 1.0)


def is_inside(position, shape):
    """``-0.5 <= x < n - 0.5`` along every axis; NaN is outside."""
    return all(-0.5 <= x < n - 0.5 for x, n in zip(position, shape, strict=True))


def position(index, matrix, field):
    """``matrix (index + field(index))``; either may be None."""
    point = [float(i) for i in index]
    if field is not None:
        point = [p + float(field[(c, *index)]) for c, p in enumerate(point)]
    if matrix is None:
        return point
    return [sum(float(matrix[r, c]) * point[c] for c in range(3)) + float(matrix[r, 3]) for r in range(3)]


def mirror(i, n):
    """Index reflected about the first and the last voxel."""
    while not 0 <= i < n:
        if n == 1:
            return 0
        i = -i if i < 0 else 2 * (n - 1) - i
    return i


def b_spline(t):
    """Cubic B-spline at distance t."""
    t = abs(t)
    if t < 1:
        return 2 / 3 - t**2 + t**3 / 2
    return (2 - t) ** 3 / 6 if t < 2 else 0.0


def b_spline_slope(t):
    """Derivative of the cubic B-spline at t."""
    side = math.copysign(1.0, t)
    t = abs(t)
    if t < 1:
        return side * (1.5 * t**2 - 2 * t)
    return side * -0.5 * (2 - t) ** 2 if t < 2 else 0.0


def nearest_at(volume, point):
    """Voxel ``floor(x + 0.5)``."""
    return volume[tuple(math.floor(x + 0.5) for x in point)]


def linear_at(volume, point):
    """Trilinear value at a point, clamped to the volume; NaN counts as 0."""
    total = 0.0
    clamped = [clamp(0.0 if math.isnan(x) else x, n) for x, n in zip(point, volume.shape, strict=True)]
    for corner in product((0, 1), repeat=3):
        weight, index = 1.0, []
        for side, x, n in zip(corner, clamped, volume.shape, strict=True):
            low = math.floor(x)
            weight *= x - low if side else 1 - (x - low)
            index.append(min(low + side, n - 1))
        if weight:
            total += weight * float(volume[tuple(index)])
    return total


SAMPLED_SPLINES = {
    2: np.array([1, 6, 1]) / 8, 3: np.array([1, 4, 1]) / 6,
    4: np.array([1, 76, 230, 76, 1]) / 384, 5: np.array([1, 26, 66, 26, 1]) / 120,
}  # fmt: skip
"""B-splines of each degree at the integers of their support."""


def continued(i, n, mode):
    """Index within an axis of n for one beyond its ends, as SciPy's spline filter continues the line."""
    if mode == "grid-wrap":
        return i % n
    if mode in ("reflect", "grid-mirror", "nearest"):
        return min(i % (2 * n), 2 * n - 1 - i % (2 * n))
    return mirror(i, n)


def spline_coefficients(volume, order=3, mode="mirror"):
    """Coefficients whose spline passes through every voxel, by solving for them."""
    coefficients = np.asarray(volume, dtype=np.float64)
    for axis, n in enumerate(volume.shape):
        system = np.zeros((n, n))
        for i in range(n):
            for step, weight in enumerate(SAMPLED_SPLINES[order], -(order // 2)):
                system[i, continued(i + step, n, mode)] += weight
        moved = np.moveaxis(coefficients, axis, 0)
        solved = np.linalg.solve(system, moved.reshape(n, -1)).reshape(moved.shape)
        coefficients = np.moveaxis(solved, 0, axis)
    return coefficients


def cubic_at(coefficients, point):
    """Value of the cubic spline at a point, clamped to the volume."""
    shape = coefficients.shape
    clamped = [clamp(x, n) for x, n in zip(point, shape, strict=True)]
    lows = [math.floor(x) for x in clamped]
    total = 0.0
    for offset in product((-1, 0, 1, 2), repeat=3):
        index = [low + o for low, o in zip(lows, offset, strict=True)]
        weight = math.prod(b_spline(x - i) for x, i in zip(clamped, index, strict=True))
        total += weight * coefficients[tuple(mirror(i, n) for i, n in zip(index, shape, strict=True))]
    return total


@remembered
def sample(volume, matrix=None, *, field=None, shape=None, order=1, outside=0.0):
    """``out(i) = volume(matrix (i + field(i)))``."""
    shape = shape or (volume.shape if field is None else field.shape[1:])
    out = np.empty(shape, volume.dtype if order == 0 else np.float64)
    source = spline_coefficients(volume) if order == 3 else volume
    value_at = {0: nearest_at, 1: linear_at, 3: cubic_at}[order]
    for index in voxels(shape):
        point = position(index, matrix, field)
        out[index] = value_at(source, point) if is_inside(point, volume.shape) else outside
    return out


@remembered
def sample_field(field, matrix, shape):
    """``out(c, i) = field(c, matrix i)``, clamped."""
    out = np.empty((3, *shape))
    for index in voxels(shape):
        point = position(index, matrix, None)
        for c in range(3):
            out[(c, *index)] = linear_at(field[c], point)
    return out


# -- filters ------------------------------------------------------------------------------------------------


def slope_at(volume, index, axis):
    """Central difference at a voxel, one-sided at the faces, 0 along an axis of one voxel."""
    n = volume.shape[axis]
    if n == 1:
        return 0.0
    above, below = list(index), list(index)
    above[axis], below[axis] = min(index[axis] + 1, n - 1), max(index[axis] - 1, 0)
    return (float(volume[tuple(above)]) - float(volume[tuple(below)])) / (above[axis] - below[axis])


@remembered
def gradient(volume):
    """Gradient per voxel: (3, I, J, K)."""
    out = np.empty((3, *volume.shape))
    for index in voxels(volume.shape):
        for axis in range(3):
            out[(axis, *index)] = slope_at(volume, index, axis)
    return out


@remembered
def smooth(volume, sigma):
    """Gaussian of one volume, borders clamped."""
    out = np.asarray(volume, dtype=np.float64)
    for axis, width in enumerate(sigma):
        if width == 0:
            continue
        reach = max(1, math.floor(3 * width + 0.5))
        weights = [math.exp(-0.5 * (t / width) ** 2) for t in range(-reach, reach + 1)]
        source, out = out, np.zeros(out.shape)
        for index in voxels(out.shape):
            for t, weight in zip(range(-reach, reach + 1), weights, strict=True):
                tap = list(index)
                tap[axis] = int(clamp(index[axis] + t, out.shape[axis]))
                out[index] += weight / sum(weights) * source[tuple(tap)]
    return out


def largest_norm(array):
    """Largest absolute value of a volume, or largest vector length of a field."""
    components = np.asarray(array, dtype=np.float64).reshape(-1, *array.shape[-3:])
    return max(math.hypot(*components[(slice(None), *index)]) for index in voxels(array.shape[-3:]))


@remembered
def downsample(volume, factors, shape):
    """Gaussian of half a factor, then linear at the centred coarse grid, clamped."""
    smoothed = smooth(volume, [0.0 if factor == 1 else factor / 2 for factor in factors])
    out = np.empty(shape)
    for index in voxels(shape):
        point = [
            factor * i + (n_in - 1 - factor * (n_out - 1)) / 2
            for i, factor, n_in, n_out in zip(index, factors, volume.shape, shape, strict=True)
        ]
        out[index] = linear_at(smoothed, point)
    return out


@remembered
def halve(volume):
    """Means of cubes of two voxels a side; beyond an odd axis its last voxel counts twice."""
    out = np.empty([-(-n // 2) for n in volume.shape])
    for index in voxels(out.shape):
        corners = product(*[(2 * i, min(2 * i + 1, n - 1)) for i, n in zip(index, volume.shape, strict=True)])
        out[index] = np.mean([float(volume[corner]) for corner in corners])
    return out


@remembered
def double(volume, shape):
    """Linear between the centres of cubes of two voxels a side, clamped."""
    out = np.empty(shape)
    for index in voxels(shape):
        out[index] = linear_at(volume, [(i - 0.5) / 2 for i in index])
    return out
