"""Fits of series, compiled; see `warpline.backends.motion.MotionOperations`.

Points are cut into chunks whose sums are added in order, so that results are bitwise equal for any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.motion import Doubles, Placement
from warpline.backends.numba_sampling import spline_value
from warpline.backends.numba_settings import KERNEL
from warpline.backends.numba_threads import in_slabs
from warpline.backends.numpy_motion import Smooth, smoothed_coefficients

f32, f64 = np.float32, np.float64

CHUNKS, CHUNK_POINTS = 16, 256
"""Most chunks of a fit, and the fewest points of each."""

NO_WEIGHTS = np.empty((0, 0), np.float32)


class NumbaMotion:
    """Operations of `MotionOperations`, documented there.

    Parameters
    ----------
    smooth : callable
        `Backend.smooth`.
    threads : int
        CPU threads to use.
    """

    def __init__(self, smooth: Smooth, threads: int) -> None:
        self._smooth, self._threads = smooth, threads

    def coefficients(self, volumes: Array, sigma: tuple[float, float, float]) -> Array:
        return smoothed_coefficients(volumes, sigma, self._smooth, self._threads)

    def sums(
        self,
        coefficients: Array,
        points: Array,
        rows: Array,
        placement: Placement,
        *,
        weights: Array | None = None,
        values: Array,
    ) -> Doubles:
        where = placement.upper_rows.reshape(-1, 3, 4), placement.volumes, np.ascontiguousarray(placement.bounds)
        given = coefficients, points, rows, *where, _weights(weights), values
        return self._summed(_sums, given, len(values), (rows.shape[1] + 3,), len(points))

    def gram(self, rows: Array, values: Array, *, weights: Array | None = None) -> Doubles:
        count = rows.shape[1]
        return self._summed(_gram, (rows, values, _weights(weights)), len(values), (count, count), len(rows))

    def _summed(
        self, kernel: Any, given: tuple[Any, ...], many: int, shape: tuple[int, ...], points: int
    ) -> NDArray[np.float64]:
        """The sums of a kernel over the chunks of each fit, in their order."""
        chunks = min(CHUNKS, max(1, points // CHUNK_POINTS))
        partial = np.zeros((many, chunks, *shape))
        in_slabs(kernel, many * chunks, self._threads, *given, partial)
        total = partial[:, 0].copy()
        for chunk in range(1, chunks):
            total += partial[:, chunk]
        return total

    def residuals(self, values: Array, rows: Array, solutions: Doubles) -> NDArray[np.float32]:
        out = np.empty(values.shape, np.float32)
        in_slabs(_residuals, len(rows), self._threads, values, rows, np.ascontiguousarray(solutions), out)
        return out


def _weights(weights: Array | None) -> Array:
    return NO_WEIGHTS if weights is None else weights


@njit(**KERNEL)
def _sums(
    first: Any, last: Any, coefficients: Any, points: Any, rows: Any, matrices: Any, volumes: Any, bounds: Any,
    weights: Any, values: Any, partial: Any,
) -> None:  # fmt: skip
    """Sums of every fit and chunk of points, into `partial` (B, chunks, R + 3); values (B, N)."""
    chunks, count = partial.shape[1], rows.shape[1]
    for task in range(first, last):
        fit, chunk = task // chunks, task % chunks
        sums, m, volume = partial[fit, chunk], matrices[fit], coefficients[volumes[fit]]
        for p in range(chunk * len(points) // chunks, (chunk + 1) * len(points) // chunks):
            x, y, z = f64(points[p, 0]), f64(points[p, 1]), f64(points[p, 2])
            i = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
            j = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
            k = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
            inside = bounds[0, 0] <= i <= bounds[0, 1] and bounds[1, 0] <= j <= bounds[1, 1]
            if not (inside and bounds[2, 0] <= k <= bounds[2, 1]):
                values[fit, p] = np.nan
                continue
            value = f32(spline_value(volume, i, j, k))
            values[fit, p] = value
            weight = f64(weights[fit, p]) if weights.size else 1.0
            weighted = weight * value
            for q in range(count):
                sums[q] += weighted * rows[p, q]
            sums[count] += weighted * value
            sums[count + 1] += weight
            sums[count + 2] += 1.0


@njit(**KERNEL)
def _gram(first: Any, last: Any, rows: Any, values: Any, weights: Any, partial: Any) -> None:
    """Sums of products of rows for every fit and chunk of points, into `partial` (B, chunks, R, R)."""
    chunks, count = partial.shape[1], rows.shape[1]
    for task in range(first, last):
        fit, chunk = task // chunks, task % chunks
        sums = partial[fit, chunk]
        for p in range(chunk * len(rows) // chunks, (chunk + 1) * len(rows) // chunks):
            if not np.isnan(values[fit, p]):
                weight = f64(weights[fit, p]) if weights.size else 1.0
                for q in range(count):
                    weighted = weight * rows[p, q]
                    for r in range(count):
                        sums[q, r] += weighted * rows[p, r]


@njit(**KERNEL)
def _residuals(first: Any, last: Any, values: Any, rows: Any, solutions: Any, out: Any) -> None:
    """What solutions leave of the values at points `first` to `last` - 1."""
    for fit in range(len(values)):
        for p in range(first, last):
            left = f64(values[fit, p])
            for q in range(rows.shape[1]):
                left -= solutions[fit, q] * rows[p, q]
            out[fit, p] = 0.0 if np.isnan(left) else left
