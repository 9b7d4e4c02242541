"""Nearest, linear and cubic sampling of volumes and fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends.numba_lanes import (
    LANES,
    floor,
    fma,
    greatest,
    least,
    load,
    pointer,
    ramp,
    splat,
    store,
    where,
)
from warpline.backends.numba_settings import EXACT, IN_ORDER, INLINE, KERNEL, KERNEL_EXACT
from warpline.backends.voxel_coordinates import is_inside

f32 = np.float32

BOX = 64
"""Most neighbours that are read for a vector of voxels; where there are more, voxels are looked up one by one."""

NO_FIELD = np.zeros((3, 0, 0, 0), np.float32)


_is_inside = njit(**INLINE)(is_inside)


@njit(**INLINE)
def _bracket(x: Any, n: Any) -> Any:
    """Lower and upper voxel around x, both clamped to [0, n - 1], and the weight of the upper one."""
    low = np.floor(x)
    base = np.int64(low)
    return min(max(base, 0), n - 1), min(max(base + 1, 0), n - 1), f32(x - low)


@njit(**INLINE)
def _shifted_bracket(i: Any, shift: Any, n: Any) -> Any:
    """`_bracket` of i + shift, exact for any i because integer part and fraction are never added up."""
    low = np.floor(shift)
    base = i + np.int64(low)
    return min(max(base, 0), n - 1), min(max(base + 1, 0), n - 1), shift - low


@njit(**INLINE)
def _blend(v: Any, x: Any, y: Any, z: Any) -> Any:
    (x0, x1, fx), (y0, y1, fy), (z0, z1, fz) = x, y, z
    v00 = v[x0, y0, z0] + fz * (v[x0, y0, z1] - v[x0, y0, z0])
    v01 = v[x0, y1, z0] + fz * (v[x0, y1, z1] - v[x0, y1, z0])
    v10 = v[x1, y0, z0] + fz * (v[x1, y0, z1] - v[x1, y0, z0])
    v11 = v[x1, y1, z0] + fz * (v[x1, y1, z1] - v[x1, y1, z0])
    v0 = v00 + fy * (v01 - v00)
    v1 = v10 + fy * (v11 - v10)
    return v0 + fx * (v1 - v0)


@njit(**INLINE)
def _spline_weights(t: Any) -> Any:
    """Cubic B-spline weights of the four voxels around a point at fraction t."""
    s = 1.0 - t
    return s * s * s / 6, 2 / 3 - t * t * (2 - t) / 2, 2 / 3 - s * s * (2 - s) / 2, t * t * t / 6


@njit(**INLINE)
def _mirrored(i: Any, n: Any) -> Any:
    """Index i reflected about the centres of the first and last voxel."""
    if n == 1:
        return 0
    period = 2 * (n - 1)
    i = abs(i) % period
    return period - i if i >= n else i


@njit(**INLINE)
def _position(matrix: Any, field: Any, i: Any, j: Any, k: Any) -> Any:
    """``matrix (index + field(index))`` in double precision; the field may be absent."""
    x, y, z = np.float64(i), np.float64(j), np.float64(k)
    if field.shape[1] > 0:
        x, y, z = x + field[0, i, j, k], y + field[1, i, j, k], z + field[2, i, j, k]
    return (
        matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3],
        matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3],
        matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3],
    )


@njit(**KERNEL_EXACT)
def linear_through_field(first: Any, last: Any, volume: Any, field: Any, outside: Any, out: Any) -> None:
    """``out(i) = volume(i + field(i))``."""
    shape, (ni, nj, nk) = volume.shape, out.shape
    given = pointer(volume), shape, pointer(field), ni * nj * nk, outside, pointer(out)
    for i in range(first, last):
        for j in range(nj):
            for step in range(0, nk, LANES):
                k = max(min(step, nk - LANES), 0)
                if nk < LANES or not _linear_lanes(given, (i, j, k), (i * nj + j) * nk + k):
                    for lane in range(k, min(k + LANES, nk)):
                        _linear_voxel(given, (i, j, lane), (i * nj + j) * nk + lane)


@njit(**EXACT)
def _linear_lanes(given: Any, index: Any, here: Any) -> Any:
    """A vector of voxels through a box of neighbours; False if that is too large or leaves the memory of the volume."""
    (volume, shape, field, size, outside, out), (i, j, k) = given, index
    in_x, x = _inside_and_clamped(load(field, here, LANES), splat(f32(i)), shape[0], 0.5)
    in_y, y = _inside_and_clamped(load(field, size + here, LANES), splat(f32(j)), shape[1], 0.5)
    in_z, z = _inside_and_clamped(load(field, 2 * size + here, LANES), splat(f32(k)) + ramp(), shape[2], 0.0)
    low = floor(x), floor(y), floor(z)
    begin = least(low[0]), least(low[1]), least(low[2])
    end = greatest(low[0]) + 2, greatest(low[1]) + 2, greatest(low[2]) + 2
    first = (max(i + begin[0], 0) * shape[1] + max(j + begin[1], 0)) * shape[2] + k + begin[2]
    last = ((min(i + end[0], shape[0]) - 1) * shape[1] + min(j + end[1], shape[1]) - 1) * shape[2] + k + end[2]
    voxels = (end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2])
    if voxels > BOX or first < 0 or last + LANES > shape[0] * shape[1] * shape[2]:
        return False
    found = _from_box(volume, shape, index, (begin, end), low, (x - low[0], y - low[1], z - low[2]))
    store(out, here, where(in_x & in_y & in_z, found, splat(outside)), LANES)
    return True


@njit(**EXACT)
def _inside_and_clamped(shift: Any, index: Any, n: Any, margin: Any) -> Any:
    """Whether ``-0.5 <= index + shift < n - 0.5``, and the shift that ends at most `margin` beyond 0 and n - 1."""
    half, lowest, highest = splat(f32(0.5)), -index, splat(f32(n - 1)) - index
    inside = (shift >= lowest - half) & (highest + half > shift)
    lowest, highest = lowest - splat(f32(margin)), highest + splat(f32(margin))
    shift = where(shift >= lowest, shift, lowest)
    return inside, where(highest >= shift, shift, highest)


@njit(**EXACT)
def _from_box(volume: Any, shape: Any, index: Any, box: Any, low: Any, weight: Any) -> Any:
    """Linear interpolation between neighbours that are picked from all those in a box, read without gathers.

    Axis by axis, the last one first; the order of operations is that of `_linear_voxel`.
    """
    (begin, end), lower = box, _from_plane(volume, shape, index, box, box[0][0], low, weight)
    value, slope = lower
    for p in range(begin[0], end[0] - 1):
        upper, here = _from_plane(volume, shape, index, box, p + 1, low, weight), low[0] == splat(f32(p))
        face = fma(weight[1], lower[1], lower[0])
        value = where(here, face, value)
        slope = where(here, fma(weight[1], upper[1], upper[0] - face), slope)
        lower = upper
    return fma(weight[0], slope, value)


@njit(**EXACT)
def _from_plane(volume: Any, shape: Any, index: Any, box: Any, p: Any, low: Any, weight: Any) -> Any:
    """Values in plane p of a box interpolated along axis 2, and their differences along axis 1."""
    (i, j, k), (begin, end) = index, box
    plane = max(min(i + p, shape[0] - 1), 0) * shape[1]
    lower = _from_row(volume, (plane + max(j + begin[1], 0)) * shape[2] + k, box, low[2])
    value, slope = lower
    for q in range(begin[1], end[1] - 1):
        row = plane + max(min(j + q + 1, shape[1] - 1), 0)
        upper, here = _from_row(volume, row * shape[2] + k, box, low[2]), low[1] == splat(f32(q))
        edge = fma(weight[2], lower[1], lower[0])
        value = where(here, edge, value)
        slope = where(here, fma(weight[2], upper[1], upper[0] - edge), slope)
        lower = upper
    return value, slope


@njit(**EXACT)
def _from_row(volume: Any, at: Any, box: Any, low: Any) -> Any:
    """Values in a row of a box, and their differences along axis 2."""
    (begin, end), lower = box, load(volume, at + box[0][2], LANES)
    upper = load(volume, at + begin[2] + 1, LANES)
    value, slope, lower = lower, upper - lower, upper
    for r in range(begin[2] + 1, end[2] - 1):
        upper, here = load(volume, at + r + 1, LANES), low == splat(f32(r))
        value, slope, lower = where(here, lower, value), where(here, upper - lower, slope), upper
    return value, slope


@njit(**IN_ORDER)
def _linear_voxel(given: Any, index: Any, here: Any) -> None:
    """One voxel."""
    (volume, (a, b, c), field, size, outside, out), (i, j, k) = given, index
    dx, dy, dz = field[here], field[size + here], field[2 * size + here]
    if not (_is_inside(i + dx, a) and _is_inside(j + dy, b) and _is_inside(k + dz, c)):
        out[here] = outside
        return
    (x0, x1, fx), (y0, y1, fy) = _shifted_bracket(i, dx, a), _shifted_bracket(j, dy, b)
    z0, z1, fz = _shifted_bracket(k, dz, c)
    first, second = _row_at(volume, (x0 * b + y0) * c, z0, z1), _row_at(volume, (x0 * b + y1) * c, z0, z1)
    edge = first[0] + fz * first[1]
    face = edge + fy * (second[0] - edge + fz * second[1])
    first, second = _row_at(volume, (x1 * b + y0) * c, z0, z1), _row_at(volume, (x1 * b + y1) * c, z0, z1)
    edge = first[0] + fz * first[1]
    slope = second[0] - edge + fz * second[1]
    out[here] = face + fx * (edge - face + fy * slope)


@njit(**IN_ORDER)
def _row_at(volume: Any, row: Any, z0: Any, z1: Any) -> Any:
    """The lower of two neighbours along a row, and the difference to the upper one."""
    lower = volume[row + z0]
    return lower, volume[row + z1] - lower


@njit(**KERNEL)
def linear(first: Any, last: Any, volume: Any, matrix: Any, field: Any, outside: Any, out: Any) -> None:
    """``out(i) = volume(matrix (i + field(i)))``, linear."""
    a, b, c = volume.shape
    for i in range(first, last):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                x, y, z = _position(matrix, field, i, j, k)
                if _is_inside(x, a) and _is_inside(y, b) and _is_inside(z, c):
                    out[i, j, k] = _blend(volume, _clamped(x, a), _clamped(y, b), _clamped(z, c))
                else:
                    out[i, j, k] = outside


@njit(**INLINE)
def _clamped(x: Any, n: Any) -> Any:
    return _bracket(min(max(x, 0.0), n - 1.0), n)


@njit(**INLINE)
def _rounded(x: Any, n: Any) -> Any:
    """Index of the nearest voxel of an axis of n; just below 0.5, ``x + 0.5`` rounds to 1."""
    return min(np.int64(np.floor(x + 0.5)), n - 1)


@njit(**KERNEL)
def nearest(first: Any, last: Any, volume: Any, matrix: Any, field: Any, outside: Any, out: Any) -> None:
    """``out(i) = volume(round(matrix (i + field(i))))``, any dtype, ties up."""
    a, b, c = volume.shape
    for i in range(first, last):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                x, y, z = _position(matrix, field, i, j, k)
                if _is_inside(x, a) and _is_inside(y, b) and _is_inside(z, c):
                    out[i, j, k] = volume[_rounded(x, a), _rounded(y, b), _rounded(z, c)]
                else:
                    out[i, j, k] = outside


@njit(**KERNEL)
def cubic(first: Any, last: Any, volume: Any, matrix: Any, field: Any, outside: Any, out: Any) -> None:
    """``out(i)`` from cubic B-spline coefficients with mirror boundary at ``matrix (i + field(i))``."""
    a, b, c = volume.shape
    for i in range(first, last):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                x, y, z = _position(matrix, field, i, j, k)
                if _is_inside(x, a) and _is_inside(y, b) and _is_inside(z, c):
                    out[i, j, k] = spline_value(volume, x, y, z)
                else:
                    out[i, j, k] = outside


@njit(**EXACT)
def spline_value(coefficients: Any, x: Any, y: Any, z: Any) -> Any:
    """Cubic spline with mirror boundary at a point that is clamped into the grid."""
    a, b, c = coefficients.shape
    x, y, z = min(max(x, 0.0), a - 1.0), min(max(y, 0.0), b - 1.0), min(max(z, 0.0), c - 1.0)
    i, j, k = np.int64(np.floor(x)), np.int64(np.floor(y)), np.int64(np.floor(z))
    weights = _spline_weights(x - i), _spline_weights(y - j), _spline_weights(z - k)
    if 1 <= i < a - 2 and 1 <= j < b - 2 and 1 <= k < c - 2:
        return _spline_within(coefficients[i - 1 : i + 3, j - 1 : j + 3, k - 1 : k + 3], weights)
    return _spline_mirrored(coefficients, (i, j, k), weights)


@njit(**INLINE)
def _spline_within(block: Any, weights: Any) -> Any:
    """Weighted sum of a block of 4 x 4 x 4 coefficients."""
    wx, wy, wz = weights
    total = 0.0
    for p in range(4):
        for q in range(4):
            row = block[p, q]
            total += wx[p] * wy[q] * (wz[0] * row[0] + wz[1] * row[1] + wz[2] * row[2] + wz[3] * row[3])
    return total


@njit(**EXACT)
def _spline_mirrored(coefficients: Any, cell: Any, weights: Any) -> Any:
    """The same next to the border, where indices are reflected."""
    (a, b, c), (i, j, k), (wx, wy, wz) = coefficients.shape, cell, weights
    total = 0.0
    for p in range(4):
        for q in range(4):
            row = coefficients[_mirrored(i + p - 1, a), _mirrored(j + q - 1, b)]
            line = 0.0
            for r in range(4):
                line += wz[r] * row[_mirrored(k + r - 1, c)]
            total += wx[p] * wy[q] * line
    return total


@njit(**KERNEL)
def field_linear(first: Any, last: Any, field: Any, matrix: Any, out: Any) -> None:
    """``out(c, i) = field(c, matrix i)``, clamped at the border."""
    _, a, b, c = field.shape
    for i in range(first, last):
        for j in range(out.shape[2]):
            for k in range(out.shape[3]):
                px, py, pz = _position(matrix, NO_FIELD, i, j, k)
                x, y, z = _clamped(px, a), _clamped(py, b), _clamped(pz, c)
                for d in range(3):
                    out[d, i, j, k] = _blend(field[d], x, y, z)


KERNELS: dict[int, Any] = {1: linear, 3: cubic}
"""Interpolation order to kernel, for real-valued volumes."""


def as_bits(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory as unsigned integers: nearest-neighbour sampling copies bits, by one kernel per width."""
    return array.view(f"u{array.dtype.itemsize}")


def spline_coefficients(volume: NDArray[np.float32]) -> NDArray[np.float64]:
    """Coefficients of the interpolating cubic B-spline, mirror boundary."""
    from scipy.ndimage import spline_filter1d

    coefficients = volume.astype(np.float64)
    for axis, n in enumerate(volume.shape):
        if n > 1:
            coefficients = spline_filter1d(coefficients, order=3, axis=axis, mode="mirror")
    return coefficients
