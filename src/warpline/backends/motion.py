"""The operations by which many volumes of a series are fitted to one reference at once."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.splines import SplineOptions

Doubles = NDArray[np.float64]

CUBIC = SplineOptions.of(3, "mirror", 0.0, True)
"""How volumes are interpolated."""


class Placement(NamedTuple):
    """Where points are looked up: a row for each of B fits, of which several may be of one volume.

    Parameters
    ----------
    volumes : (B,) int
        Index of the volume of each fit.
    matrices : (B, 4, 4)
        Point to voxel of the volume.
    bounds : (3, 2)
        Lowest and highest voxel coordinate along each axis at which a volume counts.
    """

    volumes: NDArray[np.intp]
    matrices: Doubles
    bounds: Doubles

    @property
    def upper_rows(self) -> Doubles:
        """The matrices without their last row, (B, 12), C-contiguous."""
        return np.array(self.matrices[:, :3], np.float64, order="C").reshape(-1, 12)


class MotionOperations(Protocol):
    """A part of `warpline.backends.interface.Backend`, as its attribute `motion`; its conventions hold.

    A reference is N points, and R rows of numbers at each of them: its value, derivatives, and what else a volume may
    be a weighted sum of. Sums come as float64 arrays of the host.
    """

    def coefficients(self, volumes: Array, sigma: tuple[float, float, float]) -> Array:
        """Coefficients of the cubic splines, mirrored at the borders, through smoothed volumes: (S, I, J, K) float64.

        Parameters
        ----------
        volumes : (S, I, J, K) float32
        sigma : tuple
            As for `Backend.smooth`.
        """

    def sums(
        self,
        coefficients: Array,
        points: Array,
        rows: Array,
        placement: Placement,
        *,
        weights: Array | None = None,
        values: Array,
    ) -> Doubles:
        """Sums over the points that lie within the bounds of a volume: (B, R + 3).

        With v the value of the spline at a point, clamped into the grid, r its rows and w its weight: the R sums of
        ``w r v``, and those of ``w v^2``, ``w`` and 1.

        Parameters
        ----------
        coefficients : (S, I, J, K) float64
            Of `coefficients`.
        points : (N, 3) float32
        rows : (N, R) float32
        placement : Placement
            Of B fits.
        weights : (B, N) float32, optional
            1 where None.
        values : (B, N) float32
            Filled with v, NaN beyond the bounds.
        """

    def gram(self, rows: Array, values: Array, *, weights: Array | None = None) -> Doubles:
        """Sums of ``w r r^T`` over the points whose value is not NaN: (B, R, R)."""

    def residuals(self, values: Array, rows: Array, solutions: Doubles) -> NDArray[np.float32]:
        """``v - solution . r`` at every point, 0 where the value is NaN; solutions are (B, R), the result (B, N)."""
