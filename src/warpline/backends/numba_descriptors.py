"""Descriptors: a voxel is one vector of bytes; see `warpline.backends.descriptors.DescriptorOperations`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.arrays import Array
from warpline.backends.descriptors import CHANNELS, LARGEST, SIMILARITY_PAIRS
from warpline.backends.numba_lanes import (
    LANES,
    fma,
    load,
    load_bytes,
    moved,
    pointer,
    product_of_differences,
    splat,
    store,
    store_bytes,
    where,
    whole_vectors,
)
from warpline.backends.numba_settings import EXACT, INLINE, KERNEL_EXACT
from warpline.backends.numba_similarity import NO_MASK
from warpline.backends.numba_threads import in_slabs

f32 = np.float32

PAD = 2
"""Voxels around a volume that neighbours and windows reach."""
WINDOW = 27
"""Voxels of a window."""
SQUARINGS = 10
"""``exp(-x) = ((1 - y) / (1 + y))^1024`` with ``y = x / 2048`` is off by 1e-6 at most, rounding by 1e-4."""

_HALF, _TOP = f32(0.5), f32(LARGEST)
_PER_STEP = f32(0.5 / LARGEST**2)
_SQUARED = float(LARGEST**2)
_PAIRS = len(SIMILARITY_PAIRS)
_FIRST = tuple(a for a, _ in SIMILARITY_PAIRS)
_SECOND = tuple(b for _, b in SIMILARITY_PAIRS)


class NumbaDescriptors:
    """Operations of `DescriptorOperations`, documented there.

    Parameters
    ----------
    threads : int
        CPU threads to use.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def describe(self, volume: Array, *, floor: float, out: Array | None = None) -> Array:
        out = np.empty((*volume.shape, CHANNELS), np.uint8) if out is None else out
        last = whole_vectors(volume.shape[2]) - volume.shape[2]  # rows are read in whole vectors
        widths = ((PAD, PAD), (PAD, PAD), (PAD, PAD + last))
        padded = np.pad(np.asarray(volume, np.float32), widths, mode="edge")
        self._over(volume, describe, padded, f32(floor), out, scratch=_rows(_PAIRS + 6))
        return out

    def warp(self, descriptors: Array, field: Array, *, out: Array) -> Array:
        for source, shift, to in zip(descriptors, field, out, strict=True):
            self._over(shift[0], warp, source, shift, to)
        return out

    def forces(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        totals = np.empty(len(fixed))
        counted = NO_MASK if mask is None else np.ascontiguousarray(mask, np.float32)
        self._over(out_fixed[0], forces, fixed, moving, counted, out_fixed, out_moving, totals)
        value[0] = totals.sum() / (_SQUARED * out_fixed[0].size)

    def _over(self, volume: Array, kernel: Any, *arguments: Any, scratch: Any = tuple) -> None:
        in_slabs(kernel, len(volume), self.threads, *arguments, scratch=scratch)


def _rows(count: int) -> Any:
    """Makes rows of one vector each for a thread."""
    return lambda: (np.zeros((count, int(LANES)), np.float32),)


# -- self-similarity --------------------------------------------------------------------------------------------------


@njit(**EXACT)
def _add_differences(volume: Any, at: Any, steps: Any, rows: Any) -> None:
    """Add the squared differences between the neighbours of a vector of voxels to the rows of the pairs."""
    near = moved(rows, _PAIRS * LANES)
    for axis in range(3):
        store(near, 2 * axis * LANES, load(volume, at - steps[axis], LANES), LANES)
        store(near, (2 * axis + 1) * LANES, load(volume, at + steps[axis], LANES), LANES)
    for pair in range(_PAIRS):
        difference = load(near, _FIRST[pair] * LANES, LANES) - load(near, _SECOND[pair] * LANES, LANES)
        store(rows, pair * LANES, fma(difference, difference, load(rows, pair * LANES, LANES)), LANES)


@njit(**EXACT)
def _into_similarities(rows: Any, floor: Any) -> None:
    """Sums of squared differences into entries of descriptors."""
    least, total, share = load(rows, 0, LANES), splat(f32(0)), splat(f32(1 / WINDOW))
    for pair in range(_PAIRS):
        one = load(rows, pair * LANES, LANES)
        least, total = where(least > one, one, least), total + one
    most = (total - splat(f32(_PAIRS)) * least) * splat(f32(1 / (WINDOW * _PAIRS))) + splat(floor)
    for pair in range(_PAIRS):
        distance = (load(rows, pair * LANES, LANES) - least) * share / most
        part = distance * splat(f32(0.5 / 2**SQUARINGS))
        similar = (splat(f32(1)) - part) / (splat(f32(1)) + part)
        for _ in range(SQUARINGS):
            similar = similar * similar
        store(rows, pair * LANES, fma(similar, splat(_TOP), splat(_HALF)), LANES)


@njit(**KERNEL_EXACT)
def describe(first: Any, last: Any, padded: Any, floor: Any, out: Any, rows: Any) -> None:
    """Descriptors `out` of a volume that is `padded` by `PAD` and to whole vectors; works in `rows` of vectors."""
    (_, nj, nk, channels), plane, row = out.shape, padded.shape[1] * padded.shape[2], padded.shape[2]
    volume, work, to = pointer(padded), pointer(rows), pointer(out)
    for i in range(first, last):
        for j in range(nj):
            for k in range(0, nk, LANES):
                for pair in range(_PAIRS):
                    store(work, pair * LANES, splat(f32(0)), LANES)
                for window in range(WINDOW):
                    di, dj, dk = window // 9, window // 3 % 3, window % 3
                    at = (i + di + 1) * plane + (j + dj + 1) * row + k + dk + 1
                    _add_differences(volume, at, (plane, row, 1), work)
                _into_similarities(work, floor)
                here = ((i * nj + j) * nk + k) * channels
                for lane in range(min(LANES, nk - k)):
                    for channel in range(channels):
                        entry = work[channel * LANES + lane] if channel < _PAIRS else f32(0)
                        to[here + lane * channels + channel] = np.uint8(entry)


# -- sampling ---------------------------------------------------------------------------------------------------------


@njit(**INLINE)
def _bracket(i: Any, shift: Any, n: Any) -> Any:
    """Lower and upper voxel around i + shift, both clamped to [0, n - 1], and the weight of the upper one."""
    bounded = min(max(shift, f32(-i)), f32(n - 1 - i))
    low = np.floor(bounded)
    base = i + np.int64(low)
    return base, min(base + 1, n - 1), bounded - low


@njit(**EXACT)
def _blend(first: Any, second: Any, weight: Any) -> Any:
    return fma(weight, second - first, first)


@njit(**EXACT)
def _along_k(source: Any, row: Any, k: Any, weight: Any) -> Any:
    """Between two voxels of a row."""
    return _blend(load_bytes(source, (row + k[0]) * CHANNELS), load_bytes(source, (row + k[1]) * CHANNELS), weight)


@njit(**KERNEL_EXACT)
def warp(first: Any, last: Any, descriptors: Any, field: Any, out: Any) -> None:
    """``out(i) = descriptors(i + field(i))``."""
    (ni, nj, nk, _), source, to = descriptors.shape, pointer(descriptors), pointer(out)
    for i in range(first, last):
        for j in range(nj):
            for k in range(nk):
                a, b, x = _bracket(i, field[0, i, j, k], ni)
                c, d, y = _bracket(j, field[1, i, j, k], nj)
                e, f, z = _bracket(k, field[2, i, j, k], nk)
                wx, wy, wz, ends = splat(x), splat(y), splat(z), (e, f)
                low = _blend(
                    _along_k(source, (a * nj + c) * nk, ends, wz), _along_k(source, (a * nj + d) * nk, ends, wz), wy
                )
                high = _blend(
                    _along_k(source, (b * nj + c) * nk, ends, wz), _along_k(source, (b * nj + d) * nk, ends, wz), wy
                )
                store_bytes(to, ((i * nj + j) * nk + k) * CHANNELS, _blend(low, high, wx) + splat(_HALF))


# -- comparison -------------------------------------------------------------------------------------------------------


@njit(**EXACT)
def _force(source: Any, at: Any, step: Any, one: Any, other: Any, here: Any) -> Any:
    """``sum (one - other) d source`` by the central difference along an axis, in steps of both."""
    if step == 0:
        return f32(0)
    product = product_of_differences(one, here, other, here, source, at + step, source, at - step)
    return f32(product) * _PER_STEP


@njit(**INLINE)
def _is_face(i: Any, n: Any) -> Any:
    return n > 1 and (i == 0 or i == n - 1)


@njit(**KERNEL_EXACT)
def forces(
    first: Any, last: Any, fixed: Any, moving: Any, mask: Any, out_fixed: Any, out_moving: Any, totals: Any
) -> None:
    """See `DescriptorOperations.forces`; `totals` (I,) gets the weighted sum of squared steps of every slab."""
    (ni, nj, nk, _), f, m, is_masked = fixed.shape, pointer(fixed), pointer(moving), mask.shape[0] > 0
    step_i, step_j, step_k = nj * nk * CHANNELS, nk * CHANNELS, np.int64(CHANNELS)
    steps = (step_i if ni > 1 else 0, step_j if nj > 1 else 0, step_k if nk > 1 else 0)
    for i in range(first, last):
        total = np.float64(0)
        for j in range(nj):
            for k in range(nk):
                at, weight = ((i * nj + j) * nk + k) * CHANNELS, mask[i, j, k] if is_masked else f32(1)
                counted = weight > f32(0)
                if counted:
                    total += weight * np.float64(product_of_differences(m, at, f, at, m, at, f, at))
                active = counted and not (_is_face(i, ni) or _is_face(j, nj) or _is_face(k, nk))
                for axis in range(3):
                    out_fixed[axis, i, j, k] = weight * _force(f, at, steps[axis], m, f, at) if active else f32(0)
                    out_moving[axis, i, j, k] = weight * _force(m, at, steps[axis], f, m, at) if active else f32(0)
        totals[i] = total
