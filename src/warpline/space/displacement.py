"""Dense displacement fields in world space."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from warpline.backends.voxel_coordinates import inside
from warpline.errors import InputError
from warpline.space.grid import Grid

if TYPE_CHECKING:
    from warpline.space.affine import Affine
    from warpline.space.chain import Chain


@dataclass(frozen=True, eq=False, repr=False)
class Displacement:
    """The map ``x -> x + u(x)``, with u sampled on a grid, and its inverse where known.

    ``a @ b`` maps by b first, ``~a`` is the inverse.

    Parameters
    ----------
    field : (3, I, J, K) float32
        Displacement in mm, components along world R, A, S.
    grid : Grid
        Where the field lives. Outside it the displacement is zero, as in ITK; that of 2-D images, whose grid is flat,
        is the same at any place along the third axis.
    inverse_field : (3, I, J, K) float32, optional
        Displacement of the inverse map, on the same grid, in mm.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Displacement, Grid
    >>> field = np.zeros((3, 4, 4, 4), np.float32)
    >>> field[1] = 0.5
    >>> Displacement(field, Grid((4, 4, 4), np.eye(4))).map_points([[1.0, 1.0, 1.0], [9.0, 9.0, 9.0]])
    array([[1. , 1.5, 1. ],
           [9. , 9. , 9. ]])
    """

    field: NDArray[np.float32] = dataclass_field(repr=False)
    grid: Grid
    inverse_field: NDArray[np.float32] | None = dataclass_field(default=None, repr=False)

    def __post_init__(self) -> None:
        for field in (self.field, self.inverse_field):
            if field is not None and field.shape != (3, *self.grid.shape):
                raise InputError(f"displacement field has shape {field.shape}; {(3, *self.grid.shape)} is needed")

    @property
    def flat(self) -> bool:
        """Whether it is a map of 2-D images."""
        return self.grid.flat

    def map_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map world points (..., 3) in mm; the field is interpolated linearly, zero beyond its outer voxel faces."""
        points = np.asarray(points, dtype=np.float64)
        voxels = self.grid.voxels_at(points.reshape(-1, 3)).T
        moved = [map_coordinates(u, voxels, order=1, mode="nearest", output=np.float64) for u in self.field]
        shift: NDArray[np.float64] = np.where(inside(voxels, self.grid.shape), moved, 0.0).T.reshape(points.shape)
        return points + shift

    def inverse(self) -> Displacement:
        """The inverse map, which must be known already.

        Raises
        ------
        InputError
            When the field came without its inverse; `warpline.invert` computes one.
        """
        if self.inverse_field is None:
            raise InputError("this displacement field has no inverse yet; compute it with warpline.invert")
        return Displacement(self.inverse_field, self.grid, self.field)

    def __invert__(self) -> Displacement:
        """The same as `inverse`."""
        return self.inverse()

    def __matmul__(self, first: Affine | Displacement | Chain) -> Chain:
        """``(a @ b)(x) = a(b(x))``."""
        from warpline.space.chain import Chain  # it imports this module

        return Chain.of(first, self)

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.grid.shape))
        voxel = " x ".join(f"{size:.4g}" for size in self.grid.voxel_size)
        longest = np.sqrt(np.einsum("c...,c...->...", self.field, self.field).max())
        inverse = "not known" if self.inverse_field is None else "known"
        return f"Displacement on {sizes} voxels of {voxel} mm, at most {longest:.4g} mm, inverse {inverse}"
