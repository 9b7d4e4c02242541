"""Arguments of interpolation by the rules of `scipy.ndimage`: the spline, and coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Matrix

Mode = Literal["constant", "grid-constant", "nearest", "reflect", "grid-mirror", "mirror", "wrap", "grid-wrap"]
"""Boundary modes of SciPy: how an array continues beyond its edges."""

_PADS = {"nearest": 12, "grid-constant": 12}
"""Elements SciPy pads by before the spline filter, for modes without an exact boundary condition."""


@dataclass(frozen=True)
class SplineOptions:
    """Order and boundary of a spline.

    Attributes
    ----------
    order : int
        0 (nearest, ties up), 1 (linear) to 5.
    mode : str
        Boundary mode.
    cval : float
        Value beyond the edges in the constant modes.
    pad : int
        Elements by which coefficients are padded at either end of each axis.
    """

    order: int
    mode: Mode
    cval: float = 0.0
    pad: int = 0

    @classmethod
    def of(cls, order: int, mode: Mode, cval: float, prefilter: bool) -> SplineOptions:
        """The spline of SciPy's arguments; padded where its coefficients are still to be computed."""
        return cls(order, mode, cval, _PADS.get(mode, 0) if prefilter and order > 1 else 0)


@dataclass(frozen=True, eq=False)
class AffineCoordinates:
    """Coordinates that are an affine function of the index i of an element: ``matrix (i + before) + after``.

    Attributes
    ----------
    matrix : (d, D) float64
        Index in an output of D axes to index in an array of d axes.
    before : (D,) float64
        Added to the index.
    after : (d,) float64
        Added to the result.
    shape : tuple
        Of the output.
    first : int
        Index of the first element along the first axis, where the output is a slab of a larger one.

    Examples
    --------
    >>> import numpy as np
    >>> AffineCoordinates.of(np.diag([2.0, 1.0]), np.array([0.5, 0.0]), (2, 2)).points()[0]
    array([[0.5, 0.5],
           [2.5, 2.5]])
    """

    matrix: Matrix
    before: Matrix
    after: Matrix
    shape: tuple[int, ...]
    first: int = 0

    @classmethod
    def of(cls, matrix: Matrix, offset: Matrix, shape: tuple[int, ...]) -> AffineCoordinates:
        """SciPy's ``matrix i + offset``, or of a diagonal (d,) ``matrix (i + offset / matrix)``, as SciPy counts it."""
        if matrix.ndim == 2:
            return cls(matrix, np.zeros(matrix.shape[1]), offset, shape)
        return cls(np.diag(matrix), offset / matrix, np.zeros(len(matrix)), shape)

    def slab(self, part: slice) -> AffineCoordinates:
        """The coordinates of a slab ``start:stop`` along the first axis."""
        return AffineCoordinates(
            self.matrix, self.before, self.after, (part.stop - part.start, *self.shape[1:]), self.first + part.start
        )

    def points(self) -> NDArray[np.float64]:
        """All coordinates as an array, (d, *shape)."""
        starts = (self.first, *[0] * (len(self.shape) - 1))
        axes = np.ix_(*(first + np.arange(n) + b for first, n, b in zip(starts, self.shape, self.before, strict=True)))
        points = np.empty((len(self.matrix), *self.shape))
        for row, last, out in zip(self.matrix, self.after, points, strict=True):
            # the offset, then products from first axis to last: the order of SciPy since 1.16, so that ties fall alike
            out[...] = sum((step * axis for step, axis in zip(row, axes, strict=True)), last)
        return points


Coordinates = NDArray[Any] | AffineCoordinates
"""(d, *shape) in elements of the array, or an affine function of the index."""
