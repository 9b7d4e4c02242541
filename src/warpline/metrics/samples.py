"""What linear metrics are computed from: points of the fixed image, looked up in the moving one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.geometry import Matrix


@dataclass(frozen=True, eq=False)
class Samples:
    """Arrays on a backend, and the operations over them.

    Parameters
    ----------
    points : (N, 3) float32
        Sample points, voxels of the fixed grid.
    values : (N,) float32
        Fixed intensities there.
    volume : (I, J, K) float32
        Moving image.
    backend : Backend
        Where the arrays are.
    mask : (I, J, K) uint8, optional
        Points that land where it is 0 are left out.
    """

    points: Array
    values: Array
    volume: Array
    backend: Backend
    mask: Array | None = None

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self.points)

    def affine_moments(self, matrix: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Backend.affine_moments`."""
        return self.backend.affine_moments(self.points, self.values, self.volume, matrix, mask=self.mask)

    def joint_histogram(self, matrices: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
        """See `Backend.joint_histogram`."""
        return self.backend.joint_histogram(self.points, self.values, self.volume, matrices, bins, mask=self.mask)

    def histogram_derivative(self, matrix: Matrix, table: NDArray[np.float64]) -> Matrix:
        """See `Backend.histogram_derivative`."""
        return self.backend.histogram_derivative(self.points, self.values, self.volume, matrix, table, mask=self.mask)
