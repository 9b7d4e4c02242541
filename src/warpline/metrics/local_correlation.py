"""Local correlation of two images under an affine map, on sample points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.geometry import Matrix

FLOOR = 0.1
"""Share of the standard deviation of the whole image that is added to the local one; it keeps flat parts flat."""

Sigma = tuple[float, float, float]


def normalise_locally(
    volume: NDArray[np.float32],
    sigma: Sigma,
    contrast: float,
    *,
    backend: Backend,
    mask: NDArray[np.uint8] | None = None,
) -> NDArray[np.float32]:
    """``(v - m) / sqrt(s^2 + floor^2)`` with mean m and deviation s in a Gaussian window of `sigma` voxels.

    `contrast` is the standard deviation of the imaged object. Voxels outside the mask neither count nor get a value.
    The product of two volumes normalised so, averaged over a window, is their local correlation there.
    """
    inside = np.ones_like(volume) if mask is None else (mask > 0).astype(np.float32)
    share = np.maximum(_smooth(inside, sigma, backend), np.float32(1e-6))
    volume = (volume - volume.mean(dtype=np.float64).astype(np.float32)) * inside
    mean = _smooth(volume, sigma, backend) / share
    variance = np.maximum(_smooth(volume * volume, sigma, backend) / share - mean * mean, 0)
    spread = np.sqrt(variance + np.float32((FLOOR * contrast) ** 2 + 1e-30))
    scaled: NDArray[np.float32] = (inside * (volume - mean) / spread).astype(np.float32, copy=False)
    return scaled


def local_correlation(
    fixed: NDArray[np.float32], warped: NDArray[np.float32], sigma: Sigma, backend: Backend
) -> NDArray[np.float32]:
    """Correlation in the window around each voxel of two locally normalised volumes on one grid."""
    return _smooth(fixed * warped, sigma, backend)


def _smooth(volume: NDArray[np.float32], sigma: Sigma, backend: Backend) -> NDArray[np.float32]:
    smoothed = backend.empty(volume.shape)
    backend.smooth(backend.upload(volume), sigma, out=smoothed)
    return np.asarray(backend.download(smoothed))


class LocalCorrelation:
    """Negative mean of ``f m`` for locally normalised f and m.

    The sum of squared local correlations has the slope of ``2 c f m`` with c, the local correlation, held constant:
    `values` that are the fixed ones times c make this metric climb it, whatever the sign of the contrast.
    Parameters and methods are those of `MutualInformation`; there are no bins.
    """

    worst = 0.0
    """The value without any overlap."""

    def __init__(
        self,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        volume: NDArray[np.float32],
        *,
        backend: Backend,
        mask: NDArray[np.uint8] | None = None,
        bins: int = 0,
    ) -> None:
        self._backend = backend
        self._points = backend.upload(points)
        self._values = backend.upload(values)
        self._volume = backend.upload(volume)
        self._mask: Array | None = None if mask is None else backend.upload(mask)

    def value(self, matrix: Matrix) -> tuple[float, float]:
        """Value, and share of the points that overlap, at a fixed voxel to moving voxel `matrix` (4, 4)."""
        value, share, _ = self.value_and_derivative(matrix)
        return value, share

    def value_and_derivative(self, matrix: Matrix) -> tuple[float, float, Matrix]:
        """Value, share of the points that overlap, and derivative (3, 4) by the entries of `matrix`."""
        moments, slopes = self._backend.affine_moments(
            self._points, self._values, self._volume, matrix, mask=self._mask
        )
        count = len(self._points)
        return -float(moments[5]) / count, float(moments[0]) / count, -slopes[1] / count
