"""Local correlation of two images under an affine map, on sample points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.descent import Compared
from warpline.metrics.samples import Samples

FLOOR = 0.1
"""Share of the standard deviation of the whole image that is added to the local one; it keeps flat parts flat."""

Sigma = tuple[float, float, float]


def normalise_locally(
    volume: Array, sigma: Sigma, contrast: float, *, backend: Backend, mask: Array | None = None
) -> Array:
    """``(v - m) / sqrt(s^2 + floor^2)`` with mean m and deviation s in a Gaussian window of `sigma` voxels.

    `contrast` is the standard deviation of the imaged object. Voxels outside the mask neither count nor get a value.
    The product of two volumes normalised so, averaged over a window, is their local correlation there.
    """
    inside = backend.zeros(volume.shape) + 1 if mask is None else (mask > 0).astype(np.float32)
    share = np.maximum(_smooth(inside, sigma, backend), 1e-6)
    found = backend.sums(volume, out=backend.empty((3,), np.float64))
    centred = (volume - (found[1] / found[0]).astype(np.float32)) * inside
    mean, spread = _smooth(centred, sigma, backend), _smooth(centred * centred, sigma, backend)
    # in place: fresh memory for volumes of this size takes longer than the arithmetic
    mean /= share
    spread /= share
    spread -= mean * mean
    np.maximum(spread, 0, out=spread)
    spread += (FLOOR * contrast) ** 2 + 1e-30
    centred -= mean
    centred *= inside
    centred /= np.sqrt(spread, out=spread)
    return centred


def local_correlation(fixed: Array, warped: Array, sigma: Sigma, backend: Backend) -> Array:
    """Correlation in the window around each voxel of two locally normalised volumes on one grid."""
    return _smooth(fixed * warped, sigma, backend)


def _smooth(volume: Array, sigma: Sigma, backend: Backend) -> Array:
    smoothed = backend.empty(volume.shape)
    backend.smooth(volume, sigma, out=smoothed)
    return smoothed


class LocalCorrelation:
    """Negative mean of ``f m`` for locally normalised f and m.

    The sum of squared local correlations has the slope of ``2 c f m`` with c, the local correlation, held constant:
    fixed values multiplied by c make this metric climb it, whatever the sign of the contrast.

    Parameters
    ----------
    samples : Samples
        What is compared; normalised already.
    """

    worst = 0.0
    """The value without any overlap."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    @property
    def backend(self) -> Backend:
        """Where it is computed."""
        return self._samples.backend

    @property
    def compared(self) -> Compared:
        """What it compares and how, for a backend that searches by itself."""
        return self._samples.compared("local_correlation")

    def values(self, matrices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values, and shares of the points that overlap, at fixed voxel to moving voxel `matrices` (S, 4, 4)."""
        values, shares, _ = self.values_and_derivatives(matrices)
        return values, shares

    def values_and_derivatives(
        self, matrices: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""
        found = [self._samples.affine_moments(matrix) for matrix in matrices]
        moments = np.array([one[0] for one in found]).reshape(-1, 6) / self._samples.count
        slopes = np.array([one[1][1] for one in found]).reshape(-1, 3, 4) / -self._samples.count
        return -moments[:, 5], moments[:, 0], slopes
