"""Every backend operation again as slow float64 loops, so plain that they need no test of their own."""

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


# -- similarity ---------------------------------------------------------------------------------------------


def on_face(index, shape):
    """Whether a voxel lies on an outer face; an axis of one voxel has none."""
    return any(n > 1 and i in (0, n - 1) for i, n in zip(index, shape, strict=True))


def weight_at(index, mask):
    """The weight of a voxel: 1 without a mask, 0 where it is not positive."""
    return 1.0 if mask is None else max(float(mask[index]), 0.0)


def window(index, shape, radius, mask):
    """Voxels of the window around `index` that lie in the volume and on the mask."""
    ranges = (range(max(i - radius, 0), min(i + radius, n - 1) + 1) for i, n in zip(index, shape, strict=True))
    return [near for near in product(*ranges) if mask is None or mask[near] > 0]


@remembered
def local_cc(fixed, moving, radius, *, contrast_floor, mask=None):
    """Value, force on the fixed image, force on the moving image."""
    f, m = np.asarray(fixed, dtype=np.float64), np.asarray(moving, dtype=np.float64)
    total, forces = 0.0, np.zeros((2, 3, *f.shape))
    for index in voxels(f.shape):
        near, weight = window(index, f.shape, radius, mask), weight_at(index, mask)
        if weight == 0:
            continue
        f_near, m_near = np.array([f[i] for i in near]), np.array([m[i] for i in near])
        f_mean, m_mean = f_near.mean(), m_near.mean()
        s_ff, s_mm = ((f_near - f_mean) ** 2).sum(), ((m_near - m_mean) ** 2).sum()
        s_fm = ((f_near - f_mean) * (m_near - m_mean)).sum()
        if s_ff <= contrast_floor * len(near) or s_mm <= contrast_floor * len(near):
            continue
        total += weight * s_fm**2 / (s_ff * s_mm)
        if on_face(index, f.shape):
            continue
        d_f, d_m = f[index] - f_mean, m[index] - m_mean
        by_f = 2 * s_fm / (s_ff * s_mm) * (d_m - s_fm / s_ff * d_f)
        by_m = 2 * s_fm / (s_ff * s_mm) * (d_f - s_fm / s_mm * d_m)
        for axis in range(3):
            forces[(0, axis, *index)] = weight * by_f * slope_at(f, index, axis)
            forces[(1, axis, *index)] = weight * by_m * slope_at(m, index, axis)
    return -total / f.size, forces[0], forces[1]


@remembered
def squared_difference(fixed, moving, *, mask=None):
    """Value, force on the fixed image, force on the moving image."""
    f, m = np.asarray(fixed, dtype=np.float64), np.asarray(moving, dtype=np.float64)
    total, forces = 0.0, np.zeros((2, 3, *f.shape))
    for index in voxels(f.shape):
        weight = weight_at(index, mask)
        total += weight * (f[index] - m[index]) ** 2
        if on_face(index, f.shape):
            continue
        for axis in range(3):
            forces[(0, axis, *index)] = weight * (m[index] - f[index]) * slope_at(f, index, axis)
            forces[(1, axis, *index)] = weight * (f[index] - m[index]) * slope_at(m, index, axis)
    return total / f.size, forces[0], forces[1]


def parzen_window(distance):
    """The cubic B-spline at whole numbers, and linear between them."""
    return np.interp(abs(distance), (0, 1, 2), (2 / 3, 1 / 6, 0))


def joint_distribution(fixed, moving, bins, span, mask=None):
    """Joint distribution of grey values by the Parzen window in both, every voxel for itself."""
    joint = np.zeros((bins, bins))
    values = (binned(image if mask is None else image[mask > 0], bins, span) for image in (fixed, moving))
    for f, m in zip(*values, strict=True):
        joint += np.outer(*([parzen_window(b - at) for b in range(bins)] for at in (f, m)))
    return joint / max(joint.sum(), 1)


def binned(values, bins, span):
    """Values in units of bins, clamped to the second one and the last but one."""
    return np.clip((np.float64(values).ravel() - span[0]) * (bins - 3) / (span[1] - span[0]) + 1, 1, bins - 2)


@remembered
def mutual_information_of_volumes(fixed, moving, bins, span, mask=None):
    """``-sum p log(p / (p_f p_m))`` cell by cell."""
    joint = joint_distribution(fixed, moving, bins, span, mask)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    return -sum(p * math.log(p / (rows[i] * columns[j])) for (i, j), p in np.ndenumerate(joint) if p > 0)


@remembered
def mutual_information_forces(fixed, moving, bins, *, span, mask=None):
    """Value, force on the fixed image, force on the moving image."""
    joint, scale = joint_distribution(fixed, moving, bins, span, mask), (bins - 3) / (span[1] - span[0])
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    logs = np.zeros((bins, bins))
    for (i, j), p in np.ndenumerate(joint):
        logs[i, j] = math.log(p / (rows[i] * columns[j])) if p > 0 else 0
    value, forces = -float((joint * logs).sum()), np.zeros((2, 3, *fixed.shape))
    for index in voxels(fixed.shape):
        if on_face(index, fixed.shape) or (mask is not None and not mask[index] > 0):
            continue
        at = [binned(image[index], bins, span)[0] for image in (fixed, moving)]
        for side, image in enumerate((fixed, moving)):
            if not span[0] < image[index] < span[1]:
                continue
            window, slope = ([parzen_window(b - at[1 - side]) for b in range(bins)], parzen_slope(at[side], bins))
            found = scale * (slope @ (logs if side == 0 else logs.T) @ window)
            for axis in range(3):
                forces[(side, axis, *index)] = weight_at(index, mask) * found * slope_at(image, index, axis)
    return value, forces[0], forces[1]


def parzen_slope(at, bins):
    """The derivative of the window at every bin by the value, from the bins that it lies between."""
    below = min(int(at), bins - 3)
    return np.array([parzen_window(b - below - 1) - parzen_window(b - below) for b in range(bins)])


# -- fields -------------------------------------------------------------------------------------------------


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
