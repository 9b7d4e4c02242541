"""Affine transforms of world space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.geometry import Matrix, apply_affine, check_affine


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine map of points, fixed world to moving world.

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

    def map_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map world points (..., 3) in mm."""
        return apply_affine(self.matrix, points)

    def inverse(self) -> Affine:
        """The map from moving world back to fixed world."""
        return Affine(np.linalg.inv(self.matrix).astype(np.float64, copy=False))

    def __matmul__(self, first: Affine) -> Affine:
        """``(a @ b)(x) = a(b(x))``."""
        return Affine(self.matrix @ first.matrix)
