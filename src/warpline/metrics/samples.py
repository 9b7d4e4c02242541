"""Sample points of the fixed image and the moving image in which linear metrics interpolate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.affine_problem import Formula, MetricInputs
from warpline.space.grid import Matrix

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Sample points and the moving image on a backend.

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

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.backends import select
    >>> from warpline.metrics import Samples
    >>> ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 8, 8)).copy()
    >>> points = np.argwhere(ramp > 3).astype(np.float32)
    >>> samples = Samples(points, points[:, 0], ramp, select("numpy"))
    >>> samples.count
    256
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

    def affine_moments(self, matrix: Matrix) -> tuple[Doubles, Doubles]:
        """See `Backend.affine_moments`."""
        return self.backend.affine_moments(self.points, self.values, self.volume, matrix, mask=self.mask)

    def mutual_information(self, matrices: Doubles, bins: int, *, slopes: bool) -> Doubles:
        """See `Backend.mutual_information`."""
        return self.backend.mutual_information(
            self.points, self.values, self.volume, matrices, bins, slopes=slopes, mask=self.mask
        )


def value_range(values: Array, inside: Array | None = None) -> tuple[Array, Array]:
    """Minimum and maximum of values (float32, any shape) where `inside` is true: 0-d float64, so that nothing waits."""
    low, high = (values, values) if inside is None else (np.where(inside, values, end) for end in (np.inf, -np.inf))
    return low.min().astype(np.float64), high.max().astype(np.float64)


class LinearMetric:
    """A metric of two images under an affine map, over sample points of the fixed one.

    Parameters
    ----------
    samples : Samples
        Fixed points and moving image.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.backends import select
    >>> from warpline.metrics import LINEAR_METRICS, Samples
    >>> from warpline.recipe import Linear
    >>> ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 8, 8)).copy()
    >>> points = np.argwhere(ramp > 3).astype(np.float32)
    >>> metric = LINEAR_METRICS["correlation"](Samples(points, points[:, 0], ramp, select("numpy")), Linear())
    >>> values, shares = metric.values(np.eye(4)[None])
    >>> values.round(3).tolist(), shares.tolist()
    ([-1.0], [1.0])
    """

    worst = 0.0
    """The value without any overlap; must be 0 where a backend searches by itself."""
    formula: Formula
    """How a backend that searches by itself computes the metric."""
    bins = 0
    """Of the joint histogram, where there is one."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    @property
    def backend(self) -> Backend:
        """The backend of its arrays."""
        return self._samples.backend

    @property
    def inputs(self) -> MetricInputs:
        """Arrays and formula, for a backend that searches by itself."""
        of = self._samples
        return MetricInputs(of.points, of.values, of.volume, of.mask, self.formula, self.bins)

    def values(self, matrices: Doubles) -> tuple[Doubles, Doubles]:
        """Values, and shares of the points that overlap, at fixed voxel to moving voxel `matrices` (S, 4, 4)."""
        values, shares, _ = self.values_and_derivatives(matrices)
        return values, shares

    def values_and_derivatives(self, matrices: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""
        raise NotImplementedError
