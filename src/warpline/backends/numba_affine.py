"""Affine metrics over sample points, compiled by numba: one pass over the points per matrix.

Points are cut into chunks whose number depends on the number of points and matrices only; the sums of chunks are added
in order, so that results are bitwise equal for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends import joint_histograms, voxel_coordinates
from warpline.backends.arrays import Array, Matrix
from warpline.backends.numba_settings import HELPER, IN_ORDER, INLINE, KERNEL
from warpline.backends.numba_threads import in_slabs

CHUNKS = 64
"""Most chunks that are summed on their own."""
CHUNK_POINTS = 256
"""Fewest points of a chunk."""
FEW_POINTS = 16384
"""Points up to which one thread is used: it is done before others would wake up on a busy machine."""


class PointArrays(NamedTuple):
    """Sample points of the fixed image with its values, and the moving image with its mask."""

    points: Array
    values: Array
    volume: Array
    mask: Array | None = None


def affine_moments(
    arrays: PointArrays, matrix: Matrix, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moments (6,) and slopes (3, 3, 4): `Backend.affine_moments`."""
    points, values, volume, mask = arrays
    partial = np.zeros((_chunks(points), 42))
    given = points, values, volume, _rows(matrix), _mask(mask), partial
    in_slabs(_moments, len(partial), _threads_for(len(points), threads), *given)
    sums = _in_order(partial)
    return sums[:6], sums[6:].reshape(3, 3, 4)


def mutual_information(
    arrays: PointArrays, matrices: NDArray[np.float64], bins: int, slopes: bool, threads: int
) -> NDArray[np.float64]:
    """Value, number of points and derivative under each matrix: `Backend.mutual_information`."""
    many, points = len(matrices), arrays.points
    chunks = max(1, _chunks(points) // max(many, 1))
    given = *arrays[:3], np.array(matrices[:, :3], dtype=np.float64, order="C"), _mask(arrays.mask)
    threads = _threads_for(many * len(points), threads)
    partial = np.zeros((many, chunks, bins, bins))
    in_slabs(_histograms, many * chunks, threads, *given, partial, scratch=_fetched(points, chunks))
    values, totals, tables = joint_histograms.mutual_information(_in_order(partial.swapaxes(0, 1)))
    found = np.column_stack([values, totals])
    if not slopes:
        return found
    chunks = _chunks(points)
    partial = np.zeros((many, chunks, 12))
    in_slabs(_histogram_slopes, many * chunks, threads, *given, tables, partial, scratch=_fetched(points, chunks))
    return np.hstack([found, _in_order(partial.swapaxes(0, 1))])


def sample_at(volume: Array, points: Array, threads: int) -> Array:
    """Linear interpolant at points (N,): `Backend.sample_at`."""
    out = np.empty(len(points), np.float32)
    in_slabs(_values, len(out), _threads_for(len(out), threads), points, volume, np.eye(4)[:3], _mask(None), out)
    return out


def _threads_for(points: int, threads: int) -> int:
    return threads if points > FEW_POINTS else 1


def _in_order(partial: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the first axis, in its order, so that results are the same for any number of threads."""
    total = partial[0].copy()
    for chunk in partial[1:]:
        total += chunk
    return total


def _fetched(points: Array, chunks: int) -> Callable[[], tuple[Array]]:
    """Allocates the output of `_fetch_chunk` for the largest chunk."""
    return lambda: (np.empty((len(points) // chunks + 1, 5)),)


def _rows(matrix: Matrix) -> Matrix:
    return np.array(matrix[:3], dtype=np.float64, order="C")


def _mask(mask: Array | None) -> Array:
    return np.empty((0, 0, 0), np.uint8) if mask is None else mask


def _chunks(points: Array) -> int:
    return min(CHUNKS, max(1, len(points) // CHUNK_POINTS))


_is_inside = njit(**INLINE)(voxel_coordinates.is_inside)


@njit(**HELPER)
def _cell(x: Any, n: Any) -> Any:
    """Lower voxel of the cell of x on an axis of n voxels, offset in it, whether x is inside, and dx'/dx."""
    inside = _is_inside(x, n)
    clamped = min(max(x, 0.0), n - 1.0) if inside else 0.0
    lower = min(int(clamped), max(n - 2, 0))
    slope = 1.0 if n > 1 and 0.0 <= x <= n - 1.0 else 0.0
    return lower, clamped - lower, inside, slope


@njit(**HELPER)
def _fetch(volume: Any, mask: Any, matrix: Any, x: Any) -> Any:
    """Whether ``y = matrix (x, 1)`` counts, and the linear interpolant and its gradient there."""
    n0, n1, n2 = volume.shape
    y0 = matrix[0, 0] * x[0] + matrix[0, 1] * x[1] + matrix[0, 2] * x[2] + matrix[0, 3]
    y1 = matrix[1, 0] * x[0] + matrix[1, 1] * x[1] + matrix[1, 2] * x[2] + matrix[1, 3]
    y2 = matrix[2, 0] * x[0] + matrix[2, 1] * x[1] + matrix[2, 2] * x[2] + matrix[2, 3]
    i, u, inside_i, slope_i = _cell(y0, n0)
    j, v, inside_j, slope_j = _cell(y1, n1)
    k, w, inside_k, slope_k = _cell(y2, n2)
    if not (inside_i and inside_j and inside_k):
        return False, 0.0, 0.0, 0.0, 0.0
    if mask.size and mask[i + (u >= 0.5), j + (v >= 0.5), k + (w >= 0.5)] == 0:
        return False, 0.0, 0.0, 0.0, 0.0
    i1, j1, k1 = min(i + 1, n0 - 1), min(j + 1, n1 - 1), min(k + 1, n2 - 1)
    a00 = volume[i, j, k] + w * (volume[i, j, k1] - volume[i, j, k])
    a01 = volume[i, j1, k] + w * (volume[i, j1, k1] - volume[i, j1, k])
    a10 = volume[i1, j, k] + w * (volume[i1, j, k1] - volume[i1, j, k])
    a11 = volume[i1, j1, k] + w * (volume[i1, j1, k1] - volume[i1, j1, k])
    b0 = a00 + v * (a01 - a00)
    b1 = a10 + v * (a11 - a10)
    along_j = (1.0 - u) * (a01 - a00) + u * (a11 - a10)
    lower = (1.0 - v) * (volume[i, j, k1] - volume[i, j, k]) + v * (volume[i, j1, k1] - volume[i, j1, k])
    upper = (1.0 - v) * (volume[i1, j, k1] - volume[i1, j, k]) + v * (volume[i1, j1, k1] - volume[i1, j1, k])
    along_k = (1.0 - u) * lower + u * upper
    return True, b0 + u * (b1 - b0), slope_i * (b1 - b0), slope_j * along_j, slope_k * along_k


@njit(**HELPER)
def _add_outer(sums: Any, start: Any, weight: Any, gradient: Any, x: Any) -> None:
    """``sums[start:start + 12] += weight gradient (x, 1)^T``."""
    for row in range(3):
        scaled = weight * gradient[row]
        first = start + 4 * row
        sums[first] += scaled * x[0]
        sums[first + 1] += scaled * x[1]
        sums[first + 2] += scaled * x[2]
        sums[first + 3] += scaled


@njit(**KERNEL)
def _moments(
    first: Any, last: Any, points: Any, values: Any, volume: Any, matrix: Any, mask: Any, partial: Any
) -> None:
    """Sums of every chunk of points, into `partial` (chunks, 42)."""
    chunks = partial.shape[0]
    for chunk in range(first, last):
        sums = partial[chunk]
        for p in range(chunk * len(points) // chunks, (chunk + 1) * len(points) // chunks):
            counts, m, g0, g1, g2 = _fetch(volume, mask, matrix, points[p])
            if counts:
                f = np.float64(values[p])
                sums[0] += 1.0
                sums[1] += f
                sums[2] += m
                sums[3] += f * f
                sums[4] += m * m
                sums[5] += f * m
                _add_outer(sums, 6, 1.0, (g0, g1, g2), points[p])
                _add_outer(sums, 18, f, (g0, g1, g2), points[p])
                _add_outer(sums, 30, m, (g0, g1, g2), points[p])


@njit(**INLINE)
def _bin(value: Any, low: Any, high: Any) -> Any:
    return min(max(int(np.floor(value)), low), high)


@njit(**IN_ORDER)
def _add(sums: Any, at: Any, value: Any) -> None:
    """``sums[at] += value``, the value computed first."""
    sums[at] += value


@njit(**HELPER)
def _fetch_chunk(points: Any, volume: Any, matrix: Any, mask: Any, fetched: Any) -> Any:
    """`_fetch` of every point (N, 3), into `fetched` (N, 5): index within the chunk, value and gradient.

    Returns the number of points that count. Results pass through memory, so that fast math does not mix the
    interpolation with the histogram's arithmetic.
    """
    found = 0
    for p in range(points.shape[0]):
        counts, m, g0, g1, g2 = _fetch(volume, mask, matrix, points[p])
        if counts:
            row = fetched[found]
            row[0], row[1], row[2], row[3], row[4] = p, m, g0, g1, g2
            found += 1
    return found


@njit(**KERNEL)
def _histograms(
    first: Any, last: Any, points: Any, values: Any, volume: Any, matrices: Any, mask: Any, partial: Any, fetched: Any
) -> None:
    """Joint histograms of every matrix and chunk of points, into `partial` (M, chunks, bins, bins)."""
    chunks, bins = partial.shape[1], partial.shape[2]
    for task in range(first, last):
        which, chunk = task // chunks, task % chunks
        begin, end = chunk * len(points) // chunks, (chunk + 1) * len(points) // chunks
        counts_here = partial[which, chunk]
        for q in range(_fetch_chunk(points[begin:end], volume, matrices[which], mask, fetched)):
            m = fetched[q, 1]
            row = counts_here[_bin(values[begin + int(fetched[q, 0])] + 0.5, 0, bins - 1)]
            column = _bin(m, 1, bins - 3)
            t = m - column
            s = 1.0 - t
            _add(row, column - 1, s * s * s / 6.0)
            _add(row, column, (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0)
            _add(row, column + 1, (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0)
            _add(row, column + 2, t * t * t / 6.0)


@njit(**KERNEL)
def _histogram_slopes(
    first: Any,
    last: Any,
    points: Any,
    values: Any,
    volume: Any,
    matrices: Any,
    mask: Any,
    tables: Any,
    partial: Any,
    fetched: Any,
) -> None:
    """Derivatives for every matrix and chunk of points, into `partial` (M, chunks, 12)."""
    chunks, bins = partial.shape[1], tables.shape[1]
    for task in range(first, last):
        which, chunk = task // chunks, task % chunks
        begin, end = chunk * len(points) // chunks, (chunk + 1) * len(points) // chunks
        sums, table = partial[which, chunk], tables[which]
        for q in range(_fetch_chunk(points[begin:end], volume, matrices[which], mask, fetched)):
            p, m = begin + int(fetched[q, 0]), fetched[q, 1]
            row = table[_bin(values[p] + 0.5, 0, bins - 1)]
            column = _bin(m, 1, bins - 3)
            t = m - column
            s = 1.0 - t
            # derivatives of the four B-spline weights by m
            weight = 0.5 * (t * t * row[column + 2] - s * s * row[column - 1])
            weight += (1.5 * t * t - 2.0 * t) * row[column] + (2.0 * s - 1.5 * s * s) * row[column + 1]
            _add_outer(sums, 0, weight, (fetched[q, 2], fetched[q, 3], fetched[q, 4]), points[p])


@njit(**KERNEL)
def _values(first: Any, last: Any, points: Any, volume: Any, matrix: Any, mask: Any, out: Any) -> None:
    for p in range(first, last):
        out[p] = _fetch(volume, mask, matrix, points[p])[1]
