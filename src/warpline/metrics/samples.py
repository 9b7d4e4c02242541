"""What linear metrics are computed from: points of the fixed image, looked up in the moving one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.descent import Compared, Formula
from warpline.space.grid import Matrix


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

    def compared(self, formula: Formula, bins: int = 0) -> Compared:
        """The same for a backend that searches by itself."""
        return Compared(self.points, self.values, self.volume, self.mask, formula, bins)

    def affine_moments(self, matrix: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Backend.affine_moments`."""
        return self.backend.affine_moments(self.points, self.values, self.volume, matrix, mask=self.mask)

    def mutual_information(self, matrices: NDArray[np.float64], bins: int, *, slopes: bool) -> NDArray[np.float64]:
        """See `Backend.mutual_information`."""
        return self.backend.mutual_information(
            self.points, self.values, self.volume, matrices, bins, slopes=slopes, mask=self.mask
        )


def value_range(values: Array, inside: Array | None = None) -> tuple[Array, Array]:
    """Least and largest of values (float32, any shape), where `inside` is true: 0-d float64, so that nothing waits."""
    low, high = (values, values) if inside is None else (np.where(inside, values, end) for end in (np.inf, -np.inf))
    return low.min().astype(np.float64), high.max().astype(np.float64)


def one_by_one(
    evaluate: Callable[[Matrix], tuple[float, float, Matrix]], matrices: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Values (S,), shares (S,) and derivatives (S, 3, 4) of a metric that knows one matrix at a time."""
    found = [evaluate(matrix) for matrix in matrices]
    values, shares = np.array([one[0] for one in found], float), np.array([one[1] for one in found], float)
    return values, shares, np.array([one[2] for one in found]).reshape(-1, 3, 4)
