"""Affine metrics over sample points, compiled by numba: one pass over the points per matrix.

The points are cut into chunks whose number depends on the number of points and matrices only. Each chunk sums on its
own and the chunks are added in order, so that results are bitwise equal for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads
from numpy.typing import NDArray

from warpline.backends.information import information
from warpline.backends.interface import Array
from warpline.backends.numba_settings import PARALLEL, SERIAL
from warpline.geometry import Matrix

CHUNKS = 64
CHUNK_POINTS = 256
FEW_POINTS = 16384


def affine_moments(
    points: Array, values: Array, volume: Array, matrix: Matrix, mask: Array | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moments (6,) and slopes (3, 3, 4): `Backend.affine_moments`."""
    sums = _run(_moments, points, values, volume, _rows(matrix), _mask(mask), _chunks(points))
    return sums[:6], sums[6:].reshape(3, 3, 4)


class Samples(NamedTuple):
    """What `Backend.mutual_information` is given, apart from the matrices."""

    points: Array
    values: Array
    volume: Array
    mask: Array | None = None


def mutual_information(samples: Samples, matrices: NDArray[np.float64], bins: int, slopes: bool) -> NDArray[np.float64]:
    """Value, number of points and derivative under each matrix: `Backend.mutual_information`."""
    many, chunks = len(matrices), _chunks(samples.points)
    given = (*samples[:3], np.array(matrices[:, :3], dtype=np.float64, order="C"), _mask(samples.mask))
    partial = np.empty((many, max(1, chunks // max(many, 1)), bins, bins))
    values, totals, tables = information(_run(_histograms, *given, partial, passes=many))
    found = np.column_stack([values, totals])
    return np.hstack([found, _run(_histogram_slopes, *given, tables, chunks, passes=many)]) if slopes else found


def sample_at(volume: Array, points: Array) -> Array:
    """Linear interpolant at points (N,): `Backend.sample_at`."""
    return _run(_values, points, volume, np.eye(4)[:3], _mask(None))


def _run(kernel: Callable[..., Array], points: Array, *arguments: Any, passes: int = 1) -> Array:
    """Call a kernel; few points are done before other threads would wake up on a busy machine."""
    if passes * len(points) > FEW_POINTS:
        return kernel(points, *arguments)
    threads = get_num_threads()
    set_num_threads(1)
    try:
        return kernel(points, *arguments)
    finally:
        set_num_threads(threads)


def _rows(matrix: Matrix) -> Matrix:
    return np.array(matrix[:3], dtype=np.float64, order="C")


def _mask(mask: Array | None) -> Array:
    return np.empty((0, 0, 0), np.uint8) if mask is None else mask


def _chunks(points: Array) -> int:
    return min(CHUNKS, max(1, len(points) // CHUNK_POINTS))


@njit(**SERIAL)
def _cell(x: Any, n: Any) -> Any:
    """Lower voxel of the cell of x on an axis of n voxels, offset in it, whether x lies inside, and dx'/dx."""
    inside = -0.5 <= x < n - 0.5
    clamped = min(max(x, 0.0), n - 1.0) if inside else 0.0
    lower = min(int(clamped), max(n - 2, 0))
    slope = 1.0 if n > 1 and 0.0 <= x <= n - 1.0 else 0.0
    return lower, clamped - lower, inside, slope


@njit(**SERIAL)
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


@njit(**SERIAL)
def _add_outer(sums: Any, start: Any, weight: Any, gradient: Any, x: Any) -> None:
    """``sums[start:start + 12] += weight gradient (x, 1)^T``."""
    for row in range(3):
        scaled = weight * gradient[row]
        first = start + 4 * row
        sums[first] += scaled * x[0]
        sums[first + 1] += scaled * x[1]
        sums[first + 2] += scaled * x[2]
        sums[first + 3] += scaled


@njit(**SERIAL)
def _in_order(partial: Any) -> Any:
    total = partial[0].copy()
    for chunk in range(1, len(partial)):
        total += partial[chunk]
    return total


@njit(**PARALLEL)
def _moments(points: Any, values: Any, volume: Any, matrix: Any, mask: Any, chunks: Any) -> Any:
    partial = np.zeros((chunks, 42))
    for chunk in prange(chunks):
        sums = np.zeros(42)
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
        partial[chunk] = sums
    return _in_order(partial)


@njit(**SERIAL)
def _bin(value: Any, low: Any, high: Any) -> Any:
    return min(max(int(np.floor(value)), low), high)


@njit(**PARALLEL)
def _histograms(points: Any, values: Any, volume: Any, matrices: Any, mask: Any, partial: Any) -> Any:
    many, chunks, bins, _ = partial.shape
    for task in prange(many * chunks):
        which, chunk = task // chunks, task % chunks
        counts_here, matrix = partial[which, chunk], matrices[which]
        counts_here[:] = 0.0
        for p in range(chunk * len(points) // chunks, (chunk + 1) * len(points) // chunks):
            counts, m, _, _, _ = _fetch(volume, mask, matrix, points[p])
            if counts:
                row = counts_here[_bin(values[p] + 0.5, 0, bins - 1)]
                column = _bin(m, 1, bins - 3)
                t = m - column
                s = 1.0 - t
                row[column - 1] += s * s * s / 6.0
                row[column] += (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
                row[column + 1] += (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0
                row[column + 2] += t * t * t / 6.0
    total = np.empty((many, bins, bins))
    for which in prange(many):
        total[which] = _in_order(partial[which])
    return total


@njit(**PARALLEL)
def _histogram_slopes(points: Any, values: Any, volume: Any, matrices: Any, mask: Any, tables: Any, chunks: Any) -> Any:
    many, bins = len(matrices), tables.shape[1]
    partial = np.zeros((many, chunks, 12))
    for task in prange(many * chunks):
        which, chunk = task // chunks, task % chunks
        sums, matrix, table = partial[which, chunk], matrices[which], tables[which]
        for p in range(chunk * len(points) // chunks, (chunk + 1) * len(points) // chunks):
            counts, m, g0, g1, g2 = _fetch(volume, mask, matrix, points[p])
            if counts:
                row = table[_bin(values[p] + 0.5, 0, bins - 1)]
                column = _bin(m, 1, bins - 3)
                t = m - column
                s = 1.0 - t
                # derivatives of the four B-spline weights by m
                weight = 0.5 * (t * t * row[column + 2] - s * s * row[column - 1])
                weight += (1.5 * t * t - 2.0 * t) * row[column] + (2.0 * s - 1.5 * s * s) * row[column + 1]
                _add_outer(sums, 0, weight, (g0, g1, g2), points[p])
    total = np.zeros((many, 12))
    for which in range(many):
        total[which] = _in_order(partial[which])
    return total


@njit(**PARALLEL)
def _values(points: Any, volume: Any, matrix: Any, mask: Any) -> Any:
    out = np.empty(len(points), np.float32)
    for p in prange(len(points)):
        out[p] = _fetch(volume, mask, matrix, points[p])[1]
    return out
