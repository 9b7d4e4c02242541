"""The mean product of two locally normalised images under an affine map, on sample points."""

from __future__ import annotations

import numpy as np

from warpline.backends import Array, Backend
from warpline.backends.masked_average import masked_average
from warpline.metrics.samples import Doubles, LinearMetric

DEVIATION_FLOOR = 0.1
"""Share of the standard deviation of the whole object that is added to the local one; with less, noise in flat regions
is amplified to the contrast of edges."""
LEAST_COVERAGE = 1e-6
"""Least share of the window inside the mask; avoids divisions by zero far outside."""

Sigma = tuple[float, float, float]


def normalise_locally(
    volume: Array, sigma: Sigma, deviation: float, *, backend: Backend, mask: Array | None = None
) -> Array:
    """``(v - m) / sqrt(s^2 + floor^2)`` with mean m and deviation s in a Gaussian window of `sigma` voxels.

    `deviation` is the standard deviation of the imaged object. Voxels outside the mask neither count nor get a value.
    The product of two volumes normalised so, averaged over a window, is their local correlation there.
    """
    inside = backend.zeros(volume.shape) + 1 if mask is None else (mask > 0).astype(np.float32)
    coverage = backend.smooth(inside, sigma)
    found = backend.sums(volume, out=backend.empty((3,), np.float64))
    centred = (volume - (found[1] / found[0]).astype(np.float32)) * inside
    mean = masked_average(backend.smooth(centred, sigma), coverage, LEAST_COVERAGE)
    spread = masked_average(backend.smooth(centred * centred, sigma), coverage, LEAST_COVERAGE)
    # in place: fresh memory for volumes of this size takes longer than the arithmetic
    spread -= mean * mean
    np.maximum(spread, 0, out=spread)
    spread += (DEVIATION_FLOOR * deviation) ** 2 + 1e-30
    centred -= mean
    centred *= inside
    centred /= np.sqrt(spread, out=spread)
    return centred


def correlation_map(fixed: Array, warped: Array, sigma: Sigma, backend: Backend) -> Array:
    """Correlation in the window around each voxel of two locally normalised volumes on one grid."""
    return backend.smooth(fixed * warped, sigma)


class NormalisedProduct(LinearMetric):
    """Negative mean of ``f m`` for samples whose f and m are normalised locally.

    The sum of squared local correlations has the derivative of ``2 c f m`` with c, the local correlation, held
    constant: with fixed values multiplied by c this metric maximises it, whatever the sign of the contrast.
    """

    formula = "normalised_product"

    def values_and_derivatives(self, matrices: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""
        found = [self._samples.affine_moments(matrix) for matrix in matrices]
        moments = np.array([one[0] for one in found]).reshape(-1, 6) / self._samples.count
        slopes = np.array([one[1][1] for one in found]).reshape(-1, 3, 4) / -self._samples.count
        return -moments[:, 5], moments[:, 0], slopes
