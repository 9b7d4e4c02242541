"""Local correlation and squared difference: value and forces, one pass over slabs.

Rows are worked through in vectors, see `warpline.backends.numba_lanes`. Window sums are added up voxel by voxel, first
along axis 0, then 1, then 2, so that no sum depends on where a thread began.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.numba_lanes import LANES, along_row, fma, load, moved, pointer, splat, store, where
from warpline.backends.numba_settings import EXACT, KERNEL_EXACT

f32 = np.float32
NO_MASK = np.zeros((0, 0, 0), np.float32)


@njit(**EXACT)
def _correlation(f: Any, m: Any, sums: Any, count: Any, weight: Any, floor: Any) -> Any:
    """cc, and the factors of grad f and grad m, of vectors of voxels; see Backend.local_cc for the formula.

    `sums` are those of f, m, f^2, m^2 and f m over the `count` voxels of a window.
    """
    f_sum, m_sum, ff, mm, fm = sums
    one, zero = splat(f32(1)), splat(f32(0))
    share = one / count
    f_mean, m_mean = f_sum * share, m_sum * share
    s_ff, s_mm, s_fm = fma(-f_sum, f_mean, ff), fma(-m_sum, m_mean, mm), fma(-f_sum, m_mean, fm)
    textured = (s_ff > floor * count) & (s_mm > floor * count)
    s_ff, s_mm = where(textured, s_ff, one), where(textured, s_mm, one)
    slope = where(textured, weight * s_fm / (s_ff * s_mm), zero)
    d_f, d_m = f - f_mean, m - m_mean
    on_fixed = (slope + slope) * (d_m - s_fm * d_f / s_ff)
    on_moving = (slope + slope) * (d_f - s_fm * d_m / s_mm)
    return slope * s_fm, on_fixed, on_moving


@njit(**EXACT)
def _add_slabs(k: Any, count: Any, given: Any) -> None:
    """Sums of f, m, f^2, m^2 and f m over slabs, at voxels of a row; into rows that lie `stride` apart."""
    (fixed, moving, _), (first, last, size), at, rows, stride = given
    zero = splat(f32(0))
    f_sum, m_sum, ff, mm, fm = zero, zero, zero, zero, zero
    for i in range(first, last):
        here = i * size + at + k
        f, m = load(fixed, here, count), load(moving, here, count)
        f_sum, m_sum = f_sum + f, m_sum + m
        ff, mm, fm = fma(f, f, ff), fma(m, m, mm), fma(f, m, fm)
    _store_sums(rows, stride, k, (f_sum, m_sum, ff, mm, fm))


@njit(**EXACT)
def _add_masked_slabs(k: Any, count: Any, given: Any) -> None:
    """The same over the voxels of a mask, and their number."""
    (fixed, moving, mask), (first, last, size), at, rows, stride = given
    zero, one = splat(f32(0)), splat(f32(1))
    f_sum, m_sum, ff, mm, fm, number = zero, zero, zero, zero, zero, zero
    for i in range(first, last):
        here = i * size + at + k
        seen = load(mask, here, count) > zero
        f, m = where(seen, load(fixed, here, count), zero), where(seen, load(moving, here, count), zero)
        f_sum, m_sum, number = f_sum + f, m_sum + m, number + where(seen, one, zero)
        ff, mm, fm = fma(f, f, ff), fma(m, m, mm), fma(f, m, fm)
    _store_sums(rows, stride, k, (f_sum, m_sum, ff, mm, fm))
    store(rows, 5 * stride + k, number, LANES)


@njit(**EXACT)
def _store_sums(rows: Any, stride: Any, k: Any, sums: Any) -> None:
    store(rows, k, sums[0], LANES)
    store(rows, stride + k, sums[1], LANES)
    store(rows, 2 * stride + k, sums[2], LANES)
    store(rows, 3 * stride + k, sums[3], LANES)
    store(rows, 4 * stride + k, sums[4], LANES)


@njit(**EXACT)
def _add_rows(ring: Any, first: Any, last: Any, line: Any) -> None:
    """Sum of the rows `first` to ``last - 1`` of a ring, into `line`."""
    rows, mask, width = ring
    for k in range(0, width, LANES):
        total = splat(f32(0))
        for j in range(first, last):
            total = total + load(rows, (j & mask) * width + k, LANES)
        store(line, k, total, LANES)


@njit(**EXACT)
def _window(line: Any, k: Any, taps: Any) -> Any:
    """Sums of `taps` neighbours along a line."""
    total = splat(f32(0))
    for t in range(taps):
        total = total + load(line, k + t, LANES)
    return total


@njit(**EXACT)
def _windows(lines: Any, width: Any, k: Any, taps: Any) -> Any:
    """The first five window sums."""
    f_sum, m_sum = _window(lines, k, taps), _window(lines, width + k, taps)
    ff, mm = _window(lines, 2 * width + k, taps), _window(lines, 3 * width + k, taps)
    return f_sum, m_sum, ff, mm, _window(lines, 4 * width + k, taps)


@njit(**EXACT)
def _correlation_row(k: Any, count: Any, given: Any) -> None:
    """Factors of grad f and grad m, and cc, at voxels of a row; into three rows."""
    (fixed, moving, _), at, (lines, width, taps), (area, overlaps), floor, (rows, stride) = given
    f, m = load(fixed, at + k, count), load(moving, at + k, count)
    number = splat(f32(area)) * load(overlaps, k, LANES)
    found = _correlation(f, m, _windows(lines, width, k, taps), number, splat(f32(1)), splat(floor))
    store(rows, k, found[1], LANES)
    store(rows, stride + k, found[2], LANES)
    store(rows, 2 * stride + k, found[0], count)


@njit(**EXACT)
def _masked_correlation_row(k: Any, count: Any, given: Any) -> None:
    """The same in a mask."""
    (fixed, moving, mask), at, (lines, width, taps), _, floor, (rows, stride) = given
    f, m, one, zero = load(fixed, at + k, count), load(moving, at + k, count), splat(f32(1)), splat(f32(0))
    number, weight = _window(lines, 5 * width + k, taps), load(mask, at + k, count)
    number, weight = where(number > one, number, one), where(weight > zero, weight, zero)
    found = _correlation(f, m, _windows(lines, width, k, taps), number, weight, splat(floor))
    store(rows, k, found[1], LANES)
    store(rows, stride + k, found[2], LANES)
    store(rows, 2 * stride + k, found[0], count)


@njit(**EXACT)
def _set_overlaps(radius: Any, n: Any, overlaps: Any) -> None:
    """Voxels of the window around every voxel within an axis of n voxels."""
    for k in range(n):
        overlaps[k] = f32(min(k + radius, n - 1) - max(k - radius, 0) + 1)


@njit(**EXACT)
def _add_up(row: Any, width: Any, lanes: Any, totals: Any) -> None:
    """Add the numbers of a row to sums in double precision, in the same order on every CPU."""
    total = splat(f32(0))
    for k in range(0, width, LANES):
        total = total + load(row, k, LANES)
    store(lanes, 0, total, LANES)
    for lane in range(LANES):
        totals[lane] += lanes[lane]


@njit(**EXACT)
def _take_total(totals: Any) -> Any:
    """The sum of the lanes, which are cleared."""
    total = 0.0
    for lane in range(LANES):
        total += totals[lane]
        totals[lane] = 0.0
    return total


@njit(**EXACT)
def _copy(k: Any, count: Any, given: Any) -> None:
    source, at, row = given
    store(row, k, load(source, at + k, count), LANES)


@njit(**EXACT)
def _spread(k: Any, count: Any, given: Any) -> None:
    """``out(c, k) = factor(k) d volume / d c`` by central differences at voxels of a row."""
    volume, at, (step_i, step_j), factor, line, out, stride = given
    scale, here = splat(f32(0.5)) * load(factor, k, LANES), at + k
    along_i = load(volume, here + step_i, count) - load(volume, here - step_i, count)
    along_j = load(volume, here + step_j, count) - load(volume, here - step_j, count)
    along_k = load(line, k + 2, LANES) - load(line, k, LANES)
    store(out, here, scale * along_i, count)
    store(out, stride + here, scale * along_j, count)
    store(out, 2 * stride + here, scale * along_k, count)


@njit(**EXACT)
def spread_row(volume: Any, shape: Any, row: Any, factor: Any, line: Any, out: Any) -> None:
    """Forces ``factor grad volume`` of row (i, j), zero on the outer faces; works in `line` (K + 2,)."""
    (ni, nj, nk), (i, j) = shape, row
    at, stride = (i * nj + j) * nk, ni * nj * nk
    if _is_face(i, ni) or _is_face(j, nj):
        _clear(out, at, stride, nk)
        return
    along_row(_copy, nk, (volume, at, moved(line, 1)))
    steps = nj * nk if ni > 1 else 0, nk if nj > 1 else 0
    along_row(_spread, nk, (volume, at, steps, factor, line, out, stride))
    if nk > 1:
        _clear(out, at, stride, np.int64(1))
        _clear(out, at + nk - 1, stride, np.int64(1))
    else:
        out[2 * stride + at] = f32(0)


@njit(**EXACT)
def _is_face(i: Any, n: Any) -> Any:
    return n > 1 and (i == 0 or i == n - 1)


@njit(**EXACT)
def _clear(out: Any, at: Any, stride: Any, count: Any) -> None:
    for c in range(3):
        for k in range(count):
            out[c * stride + at + k] = f32(0)


@njit(**EXACT)
def _sum_slabs(images: Any, is_masked: Any, slabs: Any, at: Any, n: Any, rows: Any, stride: Any) -> None:
    given = images, slabs, at, rows, stride
    if is_masked:
        along_row(_add_masked_slabs, n, given)
    else:
        along_row(_add_slabs, n, given)


@njit(**EXACT)
def _correlate(
    images: Any, is_masked: Any, at: Any, n: Any, windows: Any, numbers: Any, floor: Any, found: Any
) -> None:
    given = images, at, windows, numbers, floor, found
    if is_masked:
        along_row(_masked_correlation_row, n, given)
    else:
        along_row(_correlation_row, n, given)


@njit(**KERNEL_EXACT)
def local_cc(
    first: Any, last: Any, fixed: Any, moving: Any, radius: Any, floor: Any, mask: Any, out_fixed: Any, out_moving: Any,
    totals: Any, ring: Any, lines: Any, rows: Any, lanes: Any,
) -> None:  # fmt: skip
    """See `warpline.backends.interface.Backend.local_cc`; `totals` (I,) gets the sum of cc of every slab.

    Works in `ring` (6, R, P), `lines` (6, P + 2 radius), `rows` (6, P + 2) and `lanes` (LANES,), all zeros at first,
    `lanes` in double precision: R is a power of two and at least the width of a window, P is K rounded up to whole
    vectors.
    """
    shape, taps, is_masked = fixed.shape, 2 * radius + 1, mask.shape[0] > 0
    (ni, nj, nk), (_, depth, width), line, row = shape, ring.shape, pointer(lines), pointer(rows)
    images, stride, sums = (pointer(fixed), pointer(moving), pointer(mask)), rows.shape[1], pointer(lanes)
    overlaps, work, part = moved(row, 3 * stride), moved(row, 4 * stride), moved(row, 5 * stride)
    _set_overlaps(radius, nk, overlaps)
    for i in range(first, last):
        slabs = max(i - radius, 0), min(i + radius, ni - 1) + 1, nj * nk
        for ahead in range(nj + radius):
            if ahead < nj:
                cycle = moved(pointer(ring), (ahead & depth - 1) * width)
                _sum_slabs(images, is_masked, slabs, ahead * nk, nk, cycle, depth * width)
            j = ahead - radius
            if j < 0:
                continue
            begin, end = max(j - radius, 0), min(j + radius, nj - 1) + 1
            for c in range(6 if is_masked else 5):
                cycle = moved(pointer(ring), c * depth * width)
                _add_rows((cycle, depth - 1, width), begin, end, moved(line, c * lines.shape[1] + radius))
            windows, numbers = (line, lines.shape[1], taps), ((slabs[1] - slabs[0]) * (end - begin), overlaps)
            _correlate(images, is_masked, (i * nj + j) * nk, nk, windows, numbers, floor, (row, stride))
            _add_up(moved(row, 2 * stride), width, part, sums)
            spread_row(images[0], shape, (i, j), row, work, pointer(out_fixed))
            spread_row(images[1], shape, (i, j), moved(row, stride), work, pointer(out_moving))
        totals[i] = _take_total(sums)


@njit(**EXACT)
def _difference(k: Any, count: Any, given: Any) -> None:
    """Weighted difference at voxels of a row, its negative and its weighted square; into three rows."""
    (fixed, moving, mask), is_masked, at, (rows, stride) = given
    difference, zero = load(moving, at + k, count) - load(fixed, at + k, count), splat(f32(0))
    weighted = difference
    if is_masked:
        weight = load(mask, at + k, count)
        weighted = difference * where(weight > zero, weight, zero)
    store(rows, k, weighted, LANES)
    store(rows, stride + k, -weighted, LANES)
    store(rows, 2 * stride + k, weighted * difference, LANES)


@njit(**KERNEL_EXACT)
def squared_difference(
    first: Any, last: Any, fixed: Any, moving: Any, mask: Any, out_fixed: Any, out_moving: Any, totals: Any, rows: Any,
    lanes: Any,
) -> None:  # fmt: skip
    """See `warpline.backends.interface.Backend.squared_difference`; `totals` (I,) gets the sum of every slab.

    Works in `rows` (6, P + 2) and `lanes` (LANES,) in double precision, zeros at first, as `local_cc` does.
    """
    shape, images = fixed.shape, (pointer(fixed), pointer(moving), pointer(mask))
    row, stride = pointer(rows), rows.shape[1]
    work, part = moved(row, 4 * stride), moved(row, 5 * stride)
    for i in range(first, last):
        for j in range(shape[1]):
            at = (i * shape[1] + j) * shape[2]
            along_row(_difference, shape[2], (images, mask.shape[0] > 0, at, (row, stride)))
            _add_up(moved(row, 2 * stride), stride - 2, part, pointer(lanes))
            spread_row(images[0], shape, (i, j), row, work, pointer(out_fixed))
            spread_row(images[1], shape, (i, j), moved(row, stride), work, pointer(out_moving))
        totals[i] = _take_total(pointer(lanes))
