"""Sum of products over the mean sum of squares: 1 for equal images, less for those that differ in contrast."""

from __future__ import annotations

import numpy as np

from warpline.metrics.samples import LinearMetric


class ProductRatio(LinearMetric):
    """``-2 sum(f m) / (sum(f^2) + sum(m^2))`` over the points inside the moving image."""

    formula = "product_ratio"

    def values_and_derivatives(self, matrices):
        """Values, shares of the points that overlap, and derivatives by the entries of `matrices`."""
        found = [self._at(matrix) for matrix in matrices]
        values, shares = np.array([one[0] for one in found], float), np.array([one[1] for one in found], float)
        return values, shares, np.array([one[2] for one in found]).reshape(-1, 3, 4)

    def _at(self, matrix):
        (n, _, _, ff, mm, fm), slopes = self._samples.affine_moments(matrix)
        share, total = float(n) / self._samples.count, ff + mm
        if total == 0:
            return self.worst, share, np.zeros((3, 4))
        return -2 * fm / total, share, -2 / total * slopes[1] + 4 * fm / total**2 * slopes[2]
