"""Gaussian smoothing and down-sampling: all three axes in one pass over memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends.gaussian import downsampling_offset, gaussian
from warpline.backends.numba_settings import HELPER, KERNEL
from warpline.backends.numba_threads import in_slabs

f32 = np.float32


@njit(**HELPER)
def _along_first(volume: Any, i: Any, w: Any, plane: Any) -> None:
    """Row i of the volume smoothed along axis 0, into `plane` (J, K)."""
    last = volume.shape[0] - 1
    for j in range(plane.shape[0]):
        row, centre = plane[j], volume[i, j]
        for k in range(row.shape[0]):
            row[k] = w[0] * centre[k]
        for t in range(1, w.shape[0]):
            below, above, weight = volume[max(i - t, 0), j], volume[min(i + t, last), j], w[t]
            for k in range(row.shape[0]):
                row[k] += weight * (below[k] + above[k])


@njit(**HELPER)
def _along_second(plane: Any, j: Any, w: Any, line: Any, pad: Any) -> None:
    """Row j of `plane` smoothed along its first axis, into `line[pad : pad + K]`, its ends repeated outward."""
    last, n = plane.shape[0] - 1, plane.shape[1]
    body, centre = line[pad : pad + n], plane[j]
    for k in range(n):
        body[k] = w[0] * centre[k]
    for t in range(1, w.shape[0]):
        below, above, weight = plane[max(j - t, 0)], plane[min(j + t, last)], w[t]
        for k in range(n):
            body[k] += weight * (below[k] + above[k])
    for k in range(pad):
        line[k] = body[0]
        line[pad + n + k] = body[n - 1]


@njit(**HELPER)
def _along_third(line: Any, w: Any, row: Any) -> None:
    """The padded `line` smoothed, into `row` (K,)."""
    n, pad = row.shape[0], w.shape[0] - 1
    centre = line[pad : pad + n]
    for k in range(n):
        row[k] = w[0] * centre[k]
    for t in range(1, w.shape[0]):
        below, above, weight = line[pad - t : pad - t + n], line[pad + t : pad + t + n], w[t]
        for k in range(n):
            row[k] += weight * (below[k] + above[k])


@njit(**KERNEL)
def smooth(
    first: Any,
    last: Any,
    stack: Any,
    wi: Any,
    wj: Any,
    wk: Any,
    out: Any,
    largest: Any,
    plane: Any,
    line: Any,
    norm: Any,
) -> None:
    """Smooth every volume of `stack` (C, I, J, K); `largest` (I,) gets the largest squared norm over C of each slab.

    Works in `plane` and `norm` (J, K) and `line` (K + 2 pad,), pad the radius of `wk`.
    """
    pad = wk.shape[0] - 1
    for i in range(first, last):
        for c in range(stack.shape[0]):
            _along_first(stack[c], i, wi, plane)
            for j in range(stack.shape[2]):
                _along_second(plane, j, wj, line, pad)
                _along_third(line, wk, out[c, i, j])
                _add_squares(out[c, i, j], c, norm[j])
        most = f32(0)
        for j in range(stack.shape[2]):
            for k in range(stack.shape[3]):
                most = max(most, norm[j, k])
        largest[i] = most


@njit(**HELPER)
def _add_squares(row: Any, c: Any, total: Any) -> None:
    """Add the squares of volume c; those of the first replace what was there."""
    if c == 0:
        for k in range(row.shape[0]):
            total[k] = row[k] * row[k]
    else:
        for k in range(row.shape[0]):
            total[k] += row[k] * row[k]


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
