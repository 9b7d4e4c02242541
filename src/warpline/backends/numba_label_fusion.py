"""Steps of joint label fusion, compiled, on threads: the search row by row, weights and votes voxel by voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends.arrays import Shape
from warpline.backends.label_fusion import NEARER, offsets_by_distance
from warpline.backends.numba_lanes import LANES, fma, load, pointer, splat, store, where, whole_vectors
from warpline.backends.numba_settings import EXACT, INLINE, KERNEL, KERNEL_EXACT
from warpline.backends.numba_threads import in_slabs
from warpline.backends.numpy_label_fusion import rows_of

f32, f64 = np.float32, np.float64


def best_offsets(
    image: NDArray[np.float32],
    atlas: NDArray[np.float32],
    places: NDArray[np.bool_],
    *,
    radius: Shape,
    search: Shape,
    count: int,
    threads: int = 1,
) -> NDArray[np.int8]:
    """See `warpline.backends.label_fusion.LabelFusion.best_offsets`."""
    offsets = offsets_by_distance(search)
    farther = (NEARER * (offsets**2).sum(axis=1)).astype(f32)
    width = whole_vectors(image.shape[2] + 2 * radius[2])
    fixed = _bordered(image, radius, width)
    moving = _bordered(atlas, tuple(r + s for r, s in zip(radius, search, strict=True)), width + 2 * search[2])
    found = np.zeros((count, *image.shape, 3), np.int8)
    given = fixed, moving, places, offsets, farther, radius, search, found

    def scratch() -> tuple[NDArray[np.float32], ...]:
        return np.zeros(width + 2 * radius[2], f32), np.empty((count, width), f32), np.empty((count, width), f32)

    in_slabs(_best_offsets, image.shape[0], threads, *given, scratch=scratch)
    return found


def joint_weights(
    image: NDArray[np.float32],
    atlases: NDArray[np.float32],
    offsets: NDArray[np.int8],
    places: NDArray[np.int32],
    *,
    radius: Shape,
    flat: float,
    beta: float,
    alpha: float,
    threads: int = 1,
) -> NDArray[np.float32]:
    """See `warpline.backends.label_fusion.LabelFusion.joint_weights`."""
    count, size = offsets.shape[0] * offsets.shape[1], int(np.prod([2 * r + 1 for r in radius]))
    weights = np.empty((len(places), *offsets.shape[:2]), f32)
    given = image, atlases, offsets, places, radius, (float(flat), float(beta), float(alpha)), weights

    def scratch() -> tuple[NDArray[Any], ...]:
        return np.empty((count + 1, size), f32), np.empty((count, count), f64), np.empty(count, f64)

    in_slabs(_joint_weights, len(places), threads, *given, scratch=scratch)
    return weights


def patch_votes(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int8],
    weights: NDArray[np.float32],
    places: NDArray[np.int32],
    *,
    radius: Shape,
    count: int,
    threads: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """See `warpline.backends.label_fusion.LabelFusion.patch_votes`."""
    best, share = np.empty(len(places), np.int32), np.empty(len(places), f32)
    given = codes, offsets, weights, places, rows_of(places, codes.shape[1:]), radius, best, share
    in_slabs(_patch_votes, len(places), threads, *given, scratch=lambda: (np.empty(count, f64),))
    return best, share


def _bordered(volume: NDArray[np.float32], border: tuple[int, ...], width: int) -> NDArray[np.float32]:
    """A volume with its borders repeated, and rows of at least `width` numbers."""
    sides = [(b, b) for b in border]
    sides[2] = (border[2], max(border[2], width - volume.shape[2] - border[2]))
    return np.ascontiguousarray(np.pad(volume, sides, mode="edge"))


@njit(**EXACT)
def _square_differences(fixed: Any, moving: Any, starts: Any, taps: Any, width: Any, line: Any) -> None:
    """Sum over the rows of a patch of the squared differences, at every number of a row.

    `starts` are the first numbers of the first rows, and the strides of slabs and rows of both volumes.
    """
    (f_start, f_slab, f_row), (m_start, m_slab, m_row) = starts
    for k in range(0, width, LANES):
        total = splat(f32(0))
        for a in range(taps[0]):
            for b in range(taps[1]):
                f = load(fixed, f_start + a * f_slab + b * f_row + k, LANES)
                difference = f - load(moving, m_start + a * m_slab + b * m_row + k, LANES)
                total = fma(difference, difference, total)
        store(line, k, total, LANES)


@njit(**EXACT)
def _rank(line: Any, taps: Any, width: Any, number: Any, farther: Any, share: Any, least: Any, found: Any) -> None:
    """Put the offset of this number where it belongs among the best of every voxel of a row."""
    at_number, at_farther, stride = splat(f32(number)), splat(farther), least.shape[1]
    ranked, numbers = pointer(least), pointer(found)
    for k in range(0, width, LANES):
        total = load(line, k, LANES)
        for t in range(1, taps):
            total = total + load(line, k + t, LANES)
        value, offset = fma(total, splat(share), at_farther), at_number
        for rank in range(least.shape[0]):
            here = rank * stride + k
            other, its = load(ranked, here, LANES), load(numbers, here, LANES)
            better = other > value
            store(ranked, here, where(better, value, other), LANES)
            store(numbers, here, where(better, offset, its), LANES)
            value, offset = where(better, other, value), where(better, its, offset)


@njit(**KERNEL_EXACT)
def _best_offsets(
    first: Any, last: Any, fixed: Any, moving: Any, places: Any, offsets: Any, farther: Any, radius: Any, search: Any,
    found: Any, line: Any, least: Any, numbers: Any,
) -> None:  # fmt: skip
    taps = 2 * radius[0] + 1, 2 * radius[1] + 1, 2 * radius[2] + 1
    share, width = f32(1.0 / (taps[0] * taps[1] * taps[2])), least.shape[1]
    f_row, m_row = fixed.shape[2], moving.shape[2]
    f_slab, m_slab = fixed.shape[1] * f_row, moving.shape[1] * m_row
    for i in range(first, last):
        for j in range(places.shape[1]):
            if not places[i, j].any():
                continue
            least[:], numbers[:] = np.inf, 0
            for number in range(len(offsets)):
                a, b, c = offsets[number]
                m_start = (i + a + search[0]) * m_slab + (j + b + search[1]) * m_row + c + search[2]
                starts = (i * f_slab + j * f_row, f_slab, f_row), (m_start, m_slab, m_row)
                _square_differences(pointer(fixed), pointer(moving), starts, taps, width, pointer(line))
                _rank(pointer(line), taps[2], width, number, farther[number], share, least, numbers)
            for rank in range(len(found)):
                for k in range(places.shape[2]):
                    if places[i, j, k]:
                        offset = offsets[int(numbers[rank, k])]
                        found[rank, i, j, k, 0] = offset[0]
                        found[rank, i, j, k, 1] = offset[1]
                        found[rank, i, j, k, 2] = offset[2]


@njit(**INLINE)
def _standardise(volume: Any, i: Any, j: Any, k: Any, radius: Any, flat: Any, out: Any) -> None:
    """The patch around a voxel with mean 0 and standard deviation 1; all 0 where it is constant."""
    shape, size = volume.shape, len(out)
    at, total = 0, f64(0)
    for a in range(i - radius[0], i + radius[0] + 1):
        for b in range(j - radius[1], j + radius[1] + 1):
            for c in range(k - radius[2], k + radius[2] + 1):
                out[at] = volume[
                    min(max(a, 0), shape[0] - 1), min(max(b, 0), shape[1] - 1), min(max(c, 0), shape[2] - 1)
                ]  # fmt: skip
                total += out[at]
                at += 1
    mean, squares = total / size, f64(0)
    for at in range(size):
        squares += (out[at] - mean) ** 2
    deviation = np.sqrt(squares / size)
    scale = f64(1) / deviation if deviation > flat else f64(0)
    for at in range(size):
        out[at] = f32((out[at] - mean) * scale)


@njit(**INLINE)
def _solve(matrix: Any, solution: Any) -> None:
    """Solve ``matrix x = 1`` by elimination with row pivots; overwrites the matrix."""
    count = len(solution)
    solution[:] = 1
    for p in range(count):
        pivot = p
        for row in range(p + 1, count):
            if abs(matrix[row, p]) > abs(matrix[pivot, p]):
                pivot = row
        for column in range(p, count):
            matrix[p, column], matrix[pivot, column] = matrix[pivot, column], matrix[p, column]
        solution[p], solution[pivot] = solution[pivot], solution[p]
        for row in range(p + 1, count):
            factor = matrix[row, p] / matrix[p, p]
            for column in range(p + 1, count):
                matrix[row, column] -= factor * matrix[p, column]
            solution[row] -= factor * solution[p]
    for back in range(count):
        p = count - 1 - back
        for column in range(p + 1, count):
            solution[p] -= matrix[p, column] * solution[column]
        solution[p] /= matrix[p, p]


@njit(**KERNEL)
def _joint_weights(
    first: Any, last: Any, image: Any, atlases: Any, offsets: Any, places: Any, radius: Any, settings: Any,
    weights: Any, patches: Any, matrix: Any, solution: Any,
) -> None:  # fmt: skip
    """Row 0 of the scratch `patches` is the patch of the image, the others are the errors of patches of atlases."""
    (flat, beta, alpha), per_atlas = settings, offsets.shape[1]
    count, size = len(solution), patches.shape[1]
    for place in range(first, last):
        i, j, k = places[place]
        _standardise(image, i, j, k, radius, flat, patches[0])
        for n in range(count):
            shift = offsets[n // per_atlas, n % per_atlas, i, j, k]
            _standardise(
                atlases[n // per_atlas], i + shift[0], j + shift[1], k + shift[2], radius, flat, patches[n + 1]
            )
            for at in range(size):
                patches[n + 1, at] = abs(patches[0, at] - patches[n + 1, at])
        for n in range(count):
            for m in range(n, count):
                product = f32(0)
                for at in range(size):
                    product += patches[n + 1, at] * patches[m + 1, at]
                matrix[n, m] = (f64(product) / size) ** beta
                matrix[m, n] = matrix[n, m]
            matrix[n, n] += alpha
        _solve(matrix, solution)
        total = f64(0)
        for n in range(count):
            solution[n] = max(solution[n], f64(0))
            total += solution[n]
        for n in range(count):
            weights[place, n // per_atlas, n % per_atlas] = solution[n] / total if total > 0 else f64(1) / count


@njit(**KERNEL)
def _patch_votes(
    first: Any, last: Any, codes: Any, offsets: Any, weights: Any, places: Any, rows: Any, radius: Any, best: Any,
    share: Any, votes: Any,
) -> None:  # fmt: skip
    shape = rows.shape
    for place in range(first, last):
        i, j, k = places[place]
        votes[:] = 0
        for a in range(max(i - radius[0], 0), min(i + radius[0] + 1, shape[0])):
            for b in range(max(j - radius[1], 0), min(j + radius[1] + 1, shape[1])):
                for c in range(max(k - radius[2], 0), min(k + radius[2] + 1, shape[2])):
                    row = rows[a, b, c]
                    if row < 0:
                        continue
                    for n in range(offsets.shape[0]):
                        for rank in range(offsets.shape[1]):
                            p = min(max(i + offsets[n, rank, a, b, c, 0], 0), shape[0] - 1)
                            q = min(max(j + offsets[n, rank, a, b, c, 1], 0), shape[1] - 1)
                            r = min(max(k + offsets[n, rank, a, b, c, 2], 0), shape[2] - 1)
                            votes[codes[n, p, q, r]] += weights[row, n, rank]
        winner, total = 0, f64(0)
        for code in range(len(votes)):
            total += votes[code]
            if votes[code] > votes[winner]:
                winner = code
        best[place] = winner
        share[place] = votes[winner] / total if total > 0 else f64(0)
