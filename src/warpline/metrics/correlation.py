"""Correlation of two images under an affine map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.geometry import Matrix

FLAT = 1e-10
"""Variances below this share of the mean square count as none."""


class Correlation:
    """Negative squared correlation coefficient, ``-c_fm^2 / (c_ff c_mm)``, over the points inside the moving image.

    Squared, so that inverted contrasts match as well. Parameters and methods are those of `MutualInformation`;
    there are no bins.
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
        self._values = backend.upload(values - values.mean(dtype=np.float64).astype(np.float32))
        self._volume = backend.upload(volume - volume.mean(dtype=np.float64).astype(np.float32))
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
        n, f, m, ff, mm, fm = moments
        share = n / len(self._points)
        if n < 2:
            return self.worst, share, np.zeros((3, 4))
        c_ff, c_mm, c_fm = ff - f * f / n, mm - m * m / n, fm - f * m / n
        if c_ff <= FLAT * ff or c_mm <= FLAT * mm:
            return self.worst, share, np.zeros((3, 4))
        d_fm = slopes[1] - f / n * slopes[0]
        d_mm = 2 * (slopes[2] - m / n * slopes[0])
        value = -(c_fm**2) / (c_ff * c_mm)
        return float(value), share, -2 * c_fm / (c_ff * c_mm) * d_fm - value / c_mm * d_mm
