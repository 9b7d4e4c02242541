"""Local correlation and squared difference: value and forces, one pass over slabs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.numba_settings import HELPER, KERNEL

f32 = np.float32
NO_MASK = np.zeros((0, 0, 0), np.float32)


@njit(**HELPER)
def _overlap(i: Any, radius: Any, n: Any) -> Any:
    """Voxels of a window around i within an axis of n voxels."""
    return min(i + radius, n - 1) - max(i - radius, 0) + 1


@njit(**HELPER)
def _sum_planes(fixed: Any, moving: Any, mask: Any, window: Any, sums: Any) -> None:
    """Products of rows `window` summed along axis 0 into `sums` (6, J, K): f, m, f^2, m^2, f m, mask."""
    sums[:] = f32(0)
    for i in range(window[0], window[1]):
        for j in range(fixed.shape[1]):
            if mask.shape[0] > 0:
                _add_masked_products(fixed[i, j], moving[i, j], mask[i, j], sums[:, j])
            else:
                _add_products(fixed[i, j], moving[i, j], sums[:, j])


@njit(**HELPER)
def _add_products(f: Any, m: Any, sums: Any) -> None:
    s0, s1, s2, s3, s4 = sums[0], sums[1], sums[2], sums[3], sums[4]
    for k in range(f.shape[0]):
        s0[k] += f[k]
        s1[k] += m[k]
        s2[k] += f[k] * f[k]
        s3[k] += m[k] * m[k]
        s4[k] += f[k] * m[k]


@njit(**HELPER)
def _add_masked_products(f: Any, m: Any, mask: Any, sums: Any) -> None:
    for k in range(f.shape[0]):
        if mask[k] > f32(0):
            sums[0, k] += f[k]
            sums[1, k] += m[k]
            sums[2, k] += f[k] * f[k]
            sums[3, k] += m[k] * m[k]
            sums[4, k] += f[k] * m[k]
            sums[5, k] += f32(1)


@njit(**HELPER)
def _sum_row(plane: Any, j: Any, radius: Any, line: Any, row: Any) -> None:
    """Window sums at row j of `plane`, along both its axes, into `row` (K,); `line` is (K + 2 radius,), ends 0."""
    n = row.shape[0]
    body = line[radius : radius + n]
    body[:] = f32(0)
    for q in range(max(j - radius, 0), min(j + radius, plane.shape[0] - 1) + 1):
        source = plane[q]
        for k in range(n):
            body[k] += source[k]
    row[:] = f32(0)
    for t in range(2 * radius + 1):
        shifted = line[t : t + n]
        for k in range(n):
            row[k] += shifted[k]


@njit(**HELPER)
def _correlation_row(f: Any, m: Any, weight: Any, sums: Any, floor: Any, factors: Any) -> Any:
    """Factors of grad f and grad m along a row, and the sum of cc; see Backend.local_cc for the formula."""
    total = f32(0)
    s0, s1, s2, s3, s4, s5 = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    factor_f, factor_m = factors[0], factors[1]
    for k in range(f.shape[0]):
        n = max(s5[k], f32(1))
        mean_f, mean_m = s0[k] / n, s1[k] / n
        s_ff, s_mm, s_fm = s2[k] - s0[k] * mean_f, s3[k] - s1[k] * mean_m, s4[k] - s0[k] * mean_m
        textured = (s_ff > floor * n) & (s_mm > floor * n)
        s_ff, s_mm = (s_ff if textured else f32(1)), (s_mm if textured else f32(1))
        slope = weight[k] * s_fm / (s_ff * s_mm) if textured else f32(0)
        total += slope * s_fm
        d_f, d_m = f[k] - mean_f, m[k] - mean_m
        factor_f[k] = f32(2) * slope * (d_m - s_fm / s_ff * d_f)
        factor_m[k] = f32(2) * slope * (d_f - s_fm / s_mm * d_m)
    return total


@njit(**HELPER)
def _is_face(i: Any, n: Any) -> Any:
    return n > 1 and (i == 0 or i == n - 1)


@njit(**HELPER)
def _spread_row(volume: Any, i: Any, j: Any, factor: Any, out: Any) -> None:
    """``out(c, i, j, k) = factor(k) d volume / d c`` by central differences, zero on the outer faces."""
    ni, nj, nk = volume.shape
    if _is_face(i, ni) or _is_face(j, nj):
        out[:, i, j] = f32(0)
        return
    _scaled_difference(volume[min(i + 1, ni - 1), j], volume[max(i - 1, 0), j], factor, out[0, i, j])
    _scaled_difference(volume[i, min(j + 1, nj - 1)], volume[i, max(j - 1, 0)], factor, out[1, i, j])
    if nk > 2:
        row = volume[i, j]
        _scaled_difference(row[2:], row[:-2], factor[1:-1], out[2, i, j, 1:-1])
    else:
        out[2, i, j] = f32(0)
    if nk > 1:
        for c in range(3):
            out[c, i, j, 0] = f32(0)
            out[c, i, j, nk - 1] = f32(0)


@njit(**HELPER)
def _scaled_difference(above: Any, below: Any, factor: Any, row: Any) -> None:
    for k in range(row.shape[0]):
        row[k] = factor[k] * f32(0.5) * (above[k] - below[k])


@njit(**HELPER)
def _set_weight(mask: Any, i: Any, j: Any, weight: Any) -> None:
    """1 along a row where the mask is positive or absent, else 0."""
    weight[:] = f32(1)
    if mask.shape[0] > 0:
        for k in range(weight.shape[0]):
            weight[k] = f32(1) if mask[i, j, k] > f32(0) else f32(0)


@njit(**HELPER)
def _set_count(fixed: Any, i: Any, j: Any, radius: Any, count: Any) -> None:
    """Voxels in the window around each voxel of a row."""
    area = _overlap(i, radius, fixed.shape[0]) * _overlap(j, radius, fixed.shape[1])
    for k in range(count.shape[0]):
        count[k] = f32(area * _overlap(k, radius, fixed.shape[2]))


@njit(**KERNEL)
def local_cc(
    first: Any,
    last: Any,
    fixed: Any,
    moving: Any,
    radius: Any,
    floor: Any,
    mask: Any,
    out_fixed: Any,
    out_moving: Any,
    totals: Any,
    planes: Any,
    line: Any,
    rows: Any,
) -> None:
    """See `warpline.backends.interface.Backend.local_cc`; `totals` (I,) gets the sum of cc of every slab.

    Works in `planes` (6, J, K), `line` (K + 2 radius,) with zeros at its ends, and `rows` (9, K).
    """
    ni, nj = fixed.shape[0], fixed.shape[1]
    sums, factors, weight = rows[:6], rows[6:8], rows[8]
    for i in range(first, last):
        _sum_planes(fixed, moving, mask, (max(i - radius, 0), min(i + radius + 1, ni)), planes)
        total = 0.0
        for j in range(nj):
            for c in range(5 if mask.shape[0] == 0 else 6):
                _sum_row(planes[c], j, radius, line, sums[c])
            if mask.shape[0] == 0:
                _set_count(fixed, i, j, radius, sums[5])
            _set_weight(mask, i, j, weight)
            total += _correlation_row(fixed[i, j], moving[i, j], weight, sums, floor, factors)
            _spread_row(fixed, i, j, factors[0], out_fixed)
            _spread_row(moving, i, j, factors[1], out_moving)
        totals[i] = total


@njit(**KERNEL)
def squared_difference(
    first: Any, last: Any, fixed: Any, moving: Any, mask: Any, out_fixed: Any, out_moving: Any, totals: Any, rows: Any
) -> None:
    """See `warpline.backends.interface.Backend.squared_difference`; `totals` (I,) gets the sum of every slab.

    Works in `rows` (3, K).
    """
    factors, weight = rows[:2], rows[2]
    for i in range(first, last):
        total = 0.0
        for j in range(fixed.shape[1]):
            _set_weight(mask, i, j, weight)
            for k in range(fixed.shape[2]):
                difference = weight[k] * (moving[i, j, k] - fixed[i, j, k])
                factors[0, k], factors[1, k] = difference, -difference
                total += difference * difference
            _spread_row(fixed, i, j, factors[0], out_fixed)
            _spread_row(moving, i, j, factors[1], out_moving)
        totals[i] = total
