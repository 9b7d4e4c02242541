"""Correlation of two images under an affine map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.descent import Compared
from warpline.metrics.samples import Samples, one_by_one
from warpline.space.grid import Matrix

FLAT = 1e-10
"""Variances below this share of the mean square count as none."""


class Correlation:
    """Negative squared correlation coefficient, ``-c_fm^2 / (c_ff c_mm)``, over the points inside the moving image.

    Squared, so that inverted contrasts match as well.

    Parameters
    ----------
    samples : Samples
        What is compared.
    """

    worst = 0.0
    """The value without any overlap."""

    def __init__(self, samples: Samples) -> None:
        values, volume = samples.values, samples.volume
        self._samples = replace(
            samples,
            values=values - _mean(values, samples.backend),
            volume=volume - _mean(volume, samples.backend),
        )

    @property
    def backend(self) -> Backend:
        """Where it is computed."""
        return self._samples.backend

    @property
    def compared(self) -> Compared:
        """What it compares and how, for a backend that searches by itself."""
        return self._samples.compared("correlation")

    def values(self, matrices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values, and shares of the points that overlap, at fixed voxel to moving voxel `matrices` (S, 4, 4)."""
        values, shares, _ = self.values_and_derivatives(matrices)
        return values, shares

    def values_and_derivatives(
        self, matrices: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""
        return one_by_one(self._at, matrices)

    def _at(self, matrix: Matrix) -> tuple[float, float, Matrix]:
        moments, slopes = self._samples.affine_moments(matrix)
        n, f, m, ff, mm, fm = moments
        share = float(n) / self._samples.count
        if n < 2:
            return self.worst, share, np.zeros((3, 4))
        c_ff, c_mm, c_fm = ff - f * f / n, mm - m * m / n, fm - f * m / n
        if c_ff <= FLAT * ff or c_mm <= FLAT * mm:
            return self.worst, share, np.zeros((3, 4))
        d_fm = slopes[1] - f / n * slopes[0]
        d_mm = 2 * (slopes[2] - m / n * slopes[0])
        value = -(c_fm**2) / (c_ff * c_mm)
        return float(value), share, -2 * c_fm / (c_ff * c_mm) * d_fm - value / c_mm * d_mm


def _mean(values: Array, backend: Backend) -> Array:
    """0-d float32, so that nothing waits."""
    found = backend.sums(values, out=backend.empty((3,), np.float64))
    return (found[1] / found[0]).astype(np.float32)
