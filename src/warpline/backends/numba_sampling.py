"""Nearest, linear and cubic sampling of volumes and fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends.numba_settings import EXACT, INLINE, KERNEL
from warpline.backends.voxel_coordinates import is_inside

f32 = np.float32
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


@njit(**KERNEL)
def linear_through_field(first: Any, last: Any, volume: Any, field: Any, outside: Any, out: Any) -> None:
    """``out(i) = volume(i + field(i))``."""
    a, b, c = volume.shape
    for i in range(first, last):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                dx, dy, dz = field[0, i, j, k], field[1, i, j, k], field[2, i, j, k]
                if _is_inside(i + dx, a) and _is_inside(j + dy, b) and _is_inside(k + dz, c):
                    x, y, z = _shifted_bracket(i, dx, a), _shifted_bracket(j, dy, b), _shifted_bracket(k, dz, c)
                    out[i, j, k] = _blend(volume, x, y, z)
                else:
                    out[i, j, k] = outside


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
                    out[i, j, k] = _spline(volume, x, y, z)
                else:
                    out[i, j, k] = outside


@njit(**EXACT)
def _spline(coefficients: Any, x: Any, y: Any, z: Any) -> Any:
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
