"""What is asked of a backend when it interpolates by the rules of `scipy.ndimage`: which spline, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Matrix

Mode = Literal["constant", "grid-constant", "nearest", "reflect", "grid-mirror", "mirror", "wrap", "grid-wrap"]
"""What SciPy takes to lie beyond the edges of an array."""

_PADS = {"nearest": 12, "grid-constant": 12}
"""Elements SciPy pads by before the spline filter, for modes without an exact boundary condition."""


@dataclass(frozen=True)
class Spline:
    """How an array is interpolated.

    Attributes
    ----------
    order : int
        From 0, nearest (ties up), over 1, linear, to 5.
    mode : str
        What lies beyond the edges.
    cval : float
        What lies there in the constant modes.
    pad : int
        Elements that coefficients have more than the array at either end of each axis.
    """

    order: int
    mode: Mode
    cval: float = 0.0
    pad: int = 0

    @classmethod
    def of(cls, order: int, mode: Mode, cval: float, prefilter: bool) -> Spline:
        """The spline that SciPy's arguments ask for; padded where its coefficients are still to be found."""
        return cls(order, mode, cval, _PADS.get(mode, 0) if prefilter and order > 1 else 0)


@dataclass(frozen=True, eq=False)
class Lattice:
    """Places that are an affine function of the index i of an element: ``matrix (i + before) + after``.

    Attributes
    ----------
    matrix : (d, D) float64
        Index in an output of D axes to index in an array of d axes.
    before : (D,) float64
        Added to the index.
    after : (d,) float64
        Added to the place.
    shape : tuple
        Of the output.
    first : int
        Index of the first element along the first axis, where the output is a slab of a larger one.
    """

    matrix: Matrix
    before: Matrix
    after: Matrix
    shape: tuple[int, ...]
    first: int = 0

    @classmethod
    def of(cls, matrix: Matrix, offset: Matrix, shape: tuple[int, ...]) -> Lattice:
        """SciPy's ``matrix i + offset``, or of a diagonal (d,) ``matrix (i + offset / matrix)``, as SciPy counts it."""
        if matrix.ndim == 2:
            return cls(matrix, np.zeros(matrix.shape[1]), offset, shape)
        return cls(np.diag(matrix), offset / matrix, np.zeros(len(matrix)), shape)

    def slab(self, part: slice) -> Lattice:
        """The places of a slab ``start:stop`` along the first axis."""
        return Lattice(
            self.matrix, self.before, self.after, (part.stop - part.start, *self.shape[1:]), self.first + part.start
        )

    def points(self) -> NDArray[np.float64]:
        """All places written down, (d, *shape)."""
        starts = (self.first, *[0] * (len(self.shape) - 1))
        axes = np.ix_(*(first + np.arange(n) + b for first, n, b in zip(starts, self.shape, self.before, strict=True)))
        points = np.empty((len(self.matrix), *self.shape))
        for row, last, out in zip(self.matrix, self.after, points, strict=True):
            # products from first axis to last, then the offset: SciPy's order of addition, so that ties fall alike
            out[...] = sum(step * axis for step, axis in zip(row, axes, strict=True)) + last
        return points


Places = NDArray[Any] | Lattice
"""(d, *shape) in elements of the array, or a lattice."""
