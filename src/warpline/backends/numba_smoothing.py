"""Gaussian smoothing and down-sampling: all three axes in one pass over memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends.gaussian import downsampling_offset, gaussian
from warpline.backends.numba_lanes import LANES, fma, largest_lane, load, moved, pointer, splat, store, where
from warpline.backends.numba_settings import EXACT, KERNEL, KERNEL_EXACT
from warpline.backends.numba_threads import in_slabs

f32 = np.float32

SLABS = 8
"""Slabs that are smoothed along one axis after the other, so that they are still in a cache for the next axis."""

WINDOW = 16384
"""Numbers of the planes of a window along the first axis that are read at once: they fit in a small L2 cache."""


@njit(**EXACT)
def _taps(source: Any, starts: Any, w: Any, k: Any, count: Any) -> Any:
    """Weighted sum of the numbers at k of rows that begin at `starts`: those below, those above, and the radius."""
    below, above, radius = starts
    total = splat(w[0]) * load(source, below[0] + k, count)
    for t in range(1, radius + 1):
        total = fma(splat(w[t]), load(source, below[t] + k, count) + load(source, above[t] + k, count), total)
    return total


@njit(**EXACT)
def _set_starts(starts: Any, row: Any, last: Any, mask: Any, stride: Any) -> None:
    """Where the rows at and beside `row` begin; beyond 0 and `last` those at the ends are repeated.

    Rows lie `stride` apart, in a ring of ``mask + 1`` rows unless the mask is -1.
    """
    below, above, radius = starts
    for t in range(radius + 1):
        below[t] = (max(row - t, 0) & mask) * stride
        above[t] = (min(row + t, last) & mask) * stride


@njit(**EXACT)
def _along_first(source: Any, slabs: Any, shape: Any, w: Any, starts: Any, out: Any) -> None:
    """Slabs of a volume of `shape` (I, JK) smoothed along axis 0, some columns at a time."""
    ni, size = shape
    width = max(WINDOW // (2 * starts[2] + 1) // LANES, 1) * LANES
    for begin in range(0, size, width):
        end = min(begin + width, size)
        for i in range(slabs[0], slabs[1]):
            _set_starts(starts, i, ni - 1, -1, size)
            if end < LANES:
                store(out, i * size, _taps(source, starts, w, begin, end), end)
            else:
                for step in range(begin, end, LANES):
                    k = min(step, end - LANES)
                    store(out, i * size + k, _taps(source, starts, w, k, LANES), LANES)


@njit(**EXACT)
def _copy(source: Any, start: Any, n: Any, target: Any) -> None:
    """Copy a row of n numbers."""
    if n < LANES:
        store(target, 0, load(source, start, n), n)
    else:
        for step in range(0, n, LANES):
            k = min(step, n - LANES)
            store(target, k, load(source, start + k, LANES), LANES)


@njit(**EXACT)
def _along_second(rows: Any, starts: Any, w: Any, n: Any, line: Any, pad: Any) -> None:
    """A row of n smoothed along axis 1, into `line` from `pad` on, its ends repeated outward."""
    for k in range(0, n, LANES):
        store(line, pad + k, _taps(rows, starts, w, k, LANES), LANES)
    for k in range(pad):
        line[k] = line[pad]
        line[pad + n + k] = line[pad + n - 1]


@njit(**EXACT)
def _along_third(line: Any, w: Any, pad: Any, n: Any, row: Any) -> None:
    """The padded `line` smoothed, into a row of n."""
    if n < LANES:
        store(row, 0, _line_taps(line, w, pad, n - n), n)
    else:
        for step in range(0, n, LANES):
            k = min(step, n - LANES)
            store(row, k, _line_taps(line, w, pad, k), LANES)


@njit(**EXACT)
def _line_taps(line: Any, w: Any, pad: Any, k: Any) -> Any:
    total = splat(w[0]) * load(line, pad + k, LANES)
    for t in range(1, pad + 1):
        total = fma(splat(w[t]), load(line, pad + k - t, LANES) + load(line, pad + k + t, LANES), total)
    return total


@njit(**EXACT)
def _along_others(plane: Any, shape: Any, wj: Any, wk: Any, starts: Any, ring: Any, line: Any) -> None:
    """A plane (J, K) smoothed along its axes in place, with a ring of rows as they were before."""
    (nj, nk), (rows, mask, stride), pad, reach = shape, ring, wk.shape[0] - 1, starts[2]
    for j in range(-reach, nj):
        ahead = j + reach
        if ahead < nj:
            _copy(plane, ahead * nk, nk, moved(rows, (ahead & mask) * stride))
        if j >= 0:
            _set_starts(starts, j, nj - 1, mask, stride)
            _along_second(rows, starts, wj, nk, line, pad)
            _along_third(line, pointer(wk), pad, nk, moved(plane, j * nk))


@njit(**EXACT)
def _square(field: Any, at: Any, stride: Any, components: Any, count: Any) -> Any:
    """Squared lengths of vectors whose components are `stride` apart."""
    total = splat(f32(0))
    for c in range(components):
        value = load(field, at + c * stride, count)
        total = fma(value, value, total)
    return total


@njit(**EXACT)
def _largest_square(field: Any, size: Any, stride: Any, components: Any, lanes: Any) -> None:
    """Largest squared length of a slab's vectors, over its lanes."""
    most = splat(f32(0))
    if size < LANES:
        square = _square(field, size - size, stride, components, size)
        most = where(square > most, square, most)
    else:
        for step in range(0, size, LANES):
            square = _square(field, min(step, size - LANES), stride, components, LANES)
            most = where(square > most, square, most)
    store(lanes, 0, most, LANES)


@njit(**KERNEL_EXACT)
def smooth(
    first: Any, last: Any, stack: Any, weights: Any, out: Any, largest: Any,
    starts: Any, ring: Any, line: Any, lanes: Any,
) -> None:  # fmt: skip
    """Smooth every volume of `stack` (C, I, J, K); `largest` (I,) gets the largest squared norm over C of each slab.

    Works in `starts` (4, T) for at most T taps on a side, `ring` (R, P), `line` (P + 2 pad,) and `lanes`: R is a power
    of two and at least the number of taps along axis 1, P is K rounded up to whole vectors, and pad the radius along
    axis 2.
    """
    (count, ni, nj, nk), (wi, wj, wk), size = stack.shape, weights, stack.shape[2] * stack.shape[3]
    table, taps = pointer(starts), starts.shape[1]
    planes = table, moved(table, taps), wi.shape[0] - 1
    rows = moved(table, 2 * taps), moved(table, 3 * taps), wj.shape[0] - 1
    source, target, wheel = pointer(stack), pointer(out), (pointer(ring), ring.shape[0] - 1, ring.shape[1])
    for begin in range(first, last, SLABS):
        end = min(begin + SLABS, last)
        for c in range(count):
            start = c * ni * size
            _along_first(moved(source, start), (begin, end), (ni, size), pointer(wi), planes, moved(target, start))
            for i in range(begin, end):
                plane = moved(target, start + i * size)
                _along_others(plane, (nj, nk), pointer(wj), wk, rows, wheel, pointer(line))
        for i in range(begin, end):
            _largest_square(moved(target, i * size), size, ni * size, count, pointer(lanes))
            largest[i] = largest_lane(pointer(lanes))


@njit(**KERNEL)
def downsample_axis(first: Any, last: Any, stack: Any, starts: Any, weights: Any, out: Any) -> None:
    """``out(a, i, b) = sum_t weights(i, t) stack(a, clamp(starts(i) + t), b)``: a strided filter of the middle axis.

    There is a slab for every pair of a and i.
    """
    n, nb = stack.shape[1], stack.shape[2]
    n_out = out.shape[1]
    for job in range(first, last):
        a, i = job // n_out, job % n_out
        row = out[a, i]
        for b in range(nb):
            row[b] = f32(0)
        for t in range(weights.shape[1]):
            source, weight = stack[a, min(max(starts[i] + t, 0), n - 1)], weights[i, t]
            for b in range(nb):
                row[b] += weight * source[b]


def downsampling_weights(n_in: int, n_out: int, factor: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """First tap and tap weights per output voxel: Gaussian of 0.5 factor, then linear at factor i + offset."""
    taps = gaussian(0.5 * factor if factor > 1 else 0.0).astype(np.float64)
    kernel = np.concatenate([taps[:0:-1], taps])
    position = np.clip(factor * np.arange(n_out) + downsampling_offset(n_in, n_out, factor), 0, n_in - 1)
    low = np.floor(position)
    fraction = (position - low)[:, None]
    weights = np.zeros((n_out, kernel.size + 1))
    weights[:, :-1] += (1 - fraction) * kernel
    weights[:, 1:] += fraction * kernel
    return low.astype(np.int64) - (taps.size - 1), weights.astype(np.float32)


def downsample(
    volume: NDArray[np.float32], factors: tuple[float, float, float], out: NDArray[np.float32], threads: int
) -> None:
    """See `warpline.backends.interface.Backend.downsample`."""
    result = volume
    for axis, factor in enumerate(factors):
        shape = (*out.shape[: axis + 1], *volume.shape[axis + 1 :])
        starts, weights = downsampling_weights(volume.shape[axis], out.shape[axis], factor)
        stack = result.reshape(math.prod(shape[:axis]), volume.shape[axis], math.prod(shape[axis + 1 :]))
        target = out if axis == 2 else np.empty(shape, np.float32)
        filtered = target.reshape(stack.shape[0], out.shape[axis], stack.shape[2])
        in_slabs(downsample_axis, math.prod(filtered.shape[:2]), threads, stack, starts, weights, filtered)
        result = target
