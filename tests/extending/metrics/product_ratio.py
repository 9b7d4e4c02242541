"""Sum of products over the mean sum of squares: 1 for equal images, less for those that differ in contrast."""

from __future__ import annotations

import numpy as np

from warpline.metrics.samples import Samples, one_by_one


class ProductRatio:
    """``-2 sum(f m) / (sum(f^2) + sum(m^2))`` over the points inside the moving image."""

    worst = 0.0

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.backend = samples.backend

    @property
    def compared(self):
        """What it compares and how, for a backend that searches by itself."""
        return self._samples.compared("product_ratio")

    def values(self, matrices):
        """Values and shares of the points that overlap."""
        return self.values_and_derivatives(matrices)[:2]

    def values_and_derivatives(self, matrices):
        """Values, shares of the points that overlap, and derivatives by the entries of `matrices`."""
        return one_by_one(self._at, matrices)

    def _at(self, matrix):
        (n, _, _, ff, mm, fm), slopes = self._samples.affine_moments(matrix)
        share, total = float(n) / self._samples.count, ff + mm
        if total == 0:
            return self.worst, share, np.zeros((3, 4))
        return -2 * fm / total, share, -2 / total * slopes[1] + 4 * fm / total**2 * slopes[2]
