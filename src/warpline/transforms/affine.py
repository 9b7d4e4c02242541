"""Affine transforms of world space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.geometry import Matrix, apply_affine, check_affine

if TYPE_CHECKING:
    from warpline.transforms.chain import Chain
    from warpline.transforms.displacement import Displacement


@dataclass(frozen=True, eq=False, repr=False)
class Affine:
    """An affine map of points, fixed world to moving world.

    ``a @ b`` maps by b first, ``~a`` is the inverse.

    Parameters
    ----------
    matrix : (4, 4)
        RAS+ mm to RAS+ mm, invertible, last row 0 0 0 1.
    """

    matrix: Matrix

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", check_affine(self.matrix, "transform matrix"))

    @classmethod
    def identity(cls) -> Affine:
        """The map that moves nothing."""
        return cls(np.eye(4))

    @property
    def is_identity(self) -> bool:
        """Whether it moves nothing, to the last bit."""
        return np.array_equal(self.matrix, np.eye(4))

    def map_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map world points (..., 3) in mm."""
        return apply_affine(self.matrix, points)

    def inverse(self) -> Affine:
        """The map from moving world back to fixed world."""
        return Affine(np.linalg.inv(self.matrix).astype(np.float64, copy=False))

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
            return Affine(self.matrix @ first.matrix)
        from warpline.transforms.chain import Chain  # it imports this module

        return Chain.of(first, self)

    def __repr__(self) -> str:
        rows = ("  " + "".join(f"{value:12.6f}" for value in row) for row in self.matrix[:3])
        return "\n".join(("Affine, fixed to moving world, RAS+ mm:", *rows))
