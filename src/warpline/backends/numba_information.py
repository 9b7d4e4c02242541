"""Mutual information of two volumes: the joint histogram of every slab, and the forces of its table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.joint_histograms import FRACTIONS
from warpline.backends.numba_lanes import moved, pointer
from warpline.backends.numba_settings import EXACT, KERNEL_EXACT
from warpline.backends.numba_similarity import spread_row

f32 = np.float32
PARTS, HALF = f32(FRACTIONS), f32(0.5)


@njit(**EXACT)
def _above_first_bin(x: Any, low: Any, scale: Any, last: Any) -> Any:
    """Where a value lies between the centres of the second bin and the last but one, in bins; clamped to them."""
    return min(max((x - low) * scale, f32(0)), f32(last))


@njit(**KERNEL_EXACT)
def joint_counts(first: Any, last: Any, fixed: Any, moving: Any, mask: Any, low: Any, scale: Any, counts: Any) -> None:
    """Counts (I, bins, bins) of every slab, int64; see `warpline.backends.joint_histograms.information_of_volumes`."""
    _, nj, nk = fixed.shape
    bins, is_masked = counts.shape[1], mask.shape[0] > 0
    for i in range(first, last):
        counts[i, :, :] = 0
        for j in range(nj):
            for k in range(nk):
                if is_masked and not mask[i, j, k] > f32(0):
                    continue
                f = _above_first_bin(fixed[i, j, k], low, scale, bins - 3)
                m = _above_first_bin(moving[i, j, k], low, scale, bins - 3)
                row, column = min(np.int64(f), bins - 4), min(np.int64(m), bins - 4)
                f_share, m_share = np.int64((f - f32(row)) * PARTS + HALF), np.int64((m - f32(column)) * PARTS + HALF)
                counts[i, row + 1, column + 1] += (FRACTIONS - f_share) * (FRACTIONS - m_share)
                counts[i, row + 1, column + 2] += (FRACTIONS - f_share) * m_share
                counts[i, row + 2, column + 1] += f_share * (FRACTIONS - m_share)
                counts[i, row + 2, column + 2] += f_share * m_share


@njit(**EXACT)
def _slopes(f: Any, m: Any, row: Any, column: Any, table: Any) -> Any:
    """Slopes of the table, linear between its cells, along both axes."""
    first, second = table[row, column], table[row, column + 1]
    third, fourth = table[row + 1, column], table[row + 1, column + 1]
    by_fixed, by_moving = third - first, second - first
    return by_fixed + m * (fourth - second - by_fixed), by_moving + f * (fourth - third - by_moving)


@njit(**EXACT)
def _slope_row(row: Any, nk: Any, images: Any, at: Any, is_masked: Any, table: Any, span: Any) -> None:
    """Factors of grad f and grad m at the voxels of a row; into two rows."""
    fixed, moving, mask = images
    rows, stride = row
    low, high, scale = span
    most = table.shape[0] - 3
    for k in range(nk):
        x, y, by_fixed, by_moving = fixed[at + k], moving[at + k], f32(0), f32(0)
        if not is_masked or mask[at + k] > f32(0):
            f, m = _above_first_bin(x, low, scale, most), _above_first_bin(y, low, scale, most)
            i, j = min(np.int64(f), most - 1), min(np.int64(m), most - 1)
            by_fixed, by_moving = _slopes(f - f32(i), m - f32(j), i + 1, j + 1, table)
            weight = mask[at + k] if is_masked else f32(1)
            by_fixed = by_fixed * scale * weight if low < x < high else f32(0)
            by_moving = by_moving * scale * weight if low < y < high else f32(0)
        rows[k] = by_fixed
        rows[stride + k] = by_moving


@njit(**KERNEL_EXACT)
def table_forces(
    first: Any, last: Any, fixed: Any, moving: Any, mask: Any, table: Any, span: Any, out_fixed: Any, out_moving: Any,
    rows: Any,
) -> None:  # fmt: skip
    """Forces of a table (bins, bins) float32 over values; `span` holds its ends and the bins per unit.

    Works in `rows` (4, P + 2), zeros at first, P is K rounded up to whole vectors.
    """
    shape, images = fixed.shape, (pointer(fixed), pointer(moving), pointer(mask))
    row, stride, limits = pointer(rows), rows.shape[1], (span[0], span[1], span[2])
    work = moved(row, 2 * stride)
    for i in range(first, last):
        for j in range(shape[1]):
            at = (i * shape[1] + j) * shape[2]
            _slope_row((row, stride), shape[2], images, at, mask.shape[0] > 0, table, limits)
            spread_row(images[0], shape, (i, j), row, work, pointer(out_fixed))
            spread_row(images[1], shape, (i, j), moved(row, stride), work, pointer(out_moving))
