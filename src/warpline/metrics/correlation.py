"""Correlation of two images under an affine map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpline.backends import Array, Backend
from warpline.metrics.samples import Doubles, LinearMetric, Samples
from warpline.space.grid import Matrix

FLAT = 1e-10
"""Variance, as a share of the mean square, up to which an image counts as constant: below it is rounding error."""


class Correlation(LinearMetric):
    """Negative squared correlation coefficient, ``-c_fm^2 / (c_ff c_mm)``, over the points inside the moving image.

    Squared, so that inverted contrasts match as well.
    """

    formula = "correlation"

    def __init__(self, samples: Samples) -> None:
        values, volume = samples.values, samples.volume
        values, volume = values - _mean(values, samples.backend), volume - _mean(volume, samples.backend)
        super().__init__(replace(samples, values=values, volume=volume))

    def values_and_derivatives(self, matrices: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""
        found = [self._at(matrix) for matrix in matrices]
        values, shares = np.array([one[0] for one in found], float), np.array([one[1] for one in found], float)
        return values, shares, np.array([one[2] for one in found]).reshape(-1, 3, 4)

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
    """The mean as 0-d float32 on the backend, so that nothing waits."""
    found = backend.sums(values, out=backend.empty((3,), np.float64))
    return (found[1] / found[0]).astype(np.float32)
