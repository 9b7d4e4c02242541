"""Affine transforms of world space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import UsageError
from warpline.space.grid import Matrix, apply_affine, check_affine

if TYPE_CHECKING:
    from warpline.space.chain import Chain
    from warpline.space.displacement import Displacement


@dataclass(frozen=True, eq=False, repr=False)
class Affine:
    """An affine map of points, fixed world to moving world.

    ``a @ b`` maps by b first, ``~a`` is the inverse.

    Parameters
    ----------
    matrix : (4, 4)
        RAS+ mm to RAS+ mm, invertible, last row 0 0 0 1.
    flat : bool
        Whether it is one of 2-D images, which leaves the third axis as it is, and is written as such.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine
    >>> wider = Affine(np.diag([2.0, 1.0, 1.0, 1.0]))
    >>> wider.map_points([[1.0, 2.0, 3.0]])
    array([[2., 2., 3.]])
    >>> (~wider @ wider).matrix.diagonal()
    array([1., 1., 1., 1.])
    """

    matrix: Matrix
    flat: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", check_affine(self.matrix, "transform matrix"))

    @classmethod
    def identity(cls) -> Affine:
        """The map that moves nothing."""
        return cls(np.eye(4))

    def flattened(self) -> Affine:
        """The same map as one of 2-D images.

        Raises
        ------
        UsageError
            When it does not leave the third axis as it is.
        """
        if not (np.allclose(self.matrix[2], np.eye(4)[2]) and np.allclose(self.matrix[:2, 2], 0)):
            raise UsageError("the affine moves points out of their slice or across slices; it does not fit a 2-D file")
        matrix = np.eye(4)
        matrix[np.ix_((0, 1), (0, 1, 3))] = self.matrix[np.ix_((0, 1), (0, 1, 3))]
        return Affine(matrix, flat=True)

    @property
    def is_identity(self) -> bool:
        """Whether it moves nothing, to the last bit."""
        return np.array_equal(self.matrix, np.eye(4))

    def map_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map world points (..., 3) in mm."""
        return apply_affine(self.matrix, points)

    def inverse(self) -> Affine:
        """The map from moving world back to fixed world."""
        return Affine(np.linalg.inv(self.matrix).astype(np.float64, copy=False), self.flat)

    def __invert__(self) -> Affine:
        """The same as `inverse`."""
        return self.inverse()

    @overload
    def __matmul__(self, first: Affine) -> Affine: ...

    @overload
    def __matmul__(self, first: Displacement | Chain) -> Chain: ...

    def __matmul__(self, first: Affine | Displacement | Chain) -> Affine | Chain:
        """``(a @ b)(x) = a(b(x))``."""
        if isinstance(first, Affine):
            return Affine(self.matrix @ first.matrix, self.flat and first.flat)
        from warpline.space.chain import Chain  # it imports this module

        return Chain.of(first, self)

    def __repr__(self) -> str:
        rows = ("  " + "".join(f"{value:12.6f}" for value in row) for row in self.matrix[:3])
        kind = "Affine of 2-D images" if self.flat else "Affine"
        return "\n".join((f"{kind}, fixed to moving world, RAS+ mm:", *rows))
