"""Transforms of world space: affines, dense displacement fields, and chains of them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from textwrap import indent
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from warpline.backends.voxel_coordinates import inside
from warpline.errors import InputError, UsageError
from warpline.space.grid import Grid, Matrix, apply_affine, check_affine


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
        return Chain.of(first, self)

    def __repr__(self) -> str:
        rows = ("  " + "".join(f"{value:12.6f}" for value in row) for row in self.matrix[:3])
        kind = "Affine of 2-D images" if self.flat else "Affine"
        return "\n".join((f"{kind}, fixed to moving world, RAS+ mm:", *rows))


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
        return Chain.of(first, self)

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.grid.shape))
        voxel = " x ".join(f"{size:.4g}" for size in self.grid.voxel_size)
        longest = np.sqrt(np.einsum("c...,c...->...", self.field, self.field).max())
        inverse = "not known" if self.inverse_field is None else "known"
        return f"Displacement on {sizes} voxels of {voxel} mm, at most {longest:.4g} mm, inverse {inverse}"


@dataclass(frozen=True, eq=False, repr=False)
class Chain:
    """Transforms applied one after the other.

    ``a @ b`` maps by b first, ``~a`` is the inverse.

    Parameters
    ----------
    parts : tuple of Affine or Displacement
        In the order in which points go through them: ``parts[0]`` first. Maps fixed world points to
        moving world points; ``Chain((warp, affine))`` is ``y = A(x + u(x))``.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Chain
    >>> shift, wider = Affine.identity().matrix.copy(), np.diag([2.0, 1.0, 1.0, 1.0])
    >>> shift[0, 3] = 1
    >>> Chain((Affine(shift), Affine(wider))).map_points([[1.0, 0.0, 0.0]])
    array([[4., 0., 0.]])
    """

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, *transforms: Affine | Displacement | Chain) -> Chain:
        """The chain of all parts of `transforms`, the first of which points go through first.

        Raises
        ------
        InputError
            When one of them is no transform.
        """
        for one in transforms:
            if not isinstance(one, (Affine, Displacement, Chain)):
                raise InputError(f"{type(one).__name__} is no transform; for points there is map_points")
        return cls(tuple(part for one in transforms for part in (one.parts if isinstance(one, Chain) else (one,))))

    @property
    def flat(self) -> bool:
        """Whether it is a map of 2-D images: every part is."""
        return bool(self.parts) and all(part.flat for part in self.parts)

    def flattened(self) -> Chain:
        """The same map as one of 2-D images.

        Raises
        ------
        UsageError
            When an affine does not leave the third axis as it is, or a field lies on another grid than a flat one.
        """
        return Chain(tuple(_flattened(part) for part in self.parts))

    def map_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map world points (..., 3) in mm through every part."""
        mapped = np.asarray(points, dtype=np.float64)
        for part in self.parts:
            mapped = part.map_points(mapped)
        return mapped

    def inverse(self) -> Chain:
        """The chain of the inverse parts in reverse order.

        Raises
        ------
        InputError
            When a displacement field came without its inverse; `warpline.invert` computes one.
        """
        return Chain(tuple(part.inverse() for part in reversed(self.parts)))

    def simplified(self) -> Transform:
        """The same map with neighbouring affines multiplied and identities left out; one part stands for itself."""
        parts: list[Part] = []
        for part in self.parts:
            last = parts[-1] if parts else None
            if isinstance(part, Affine) and isinstance(last, Affine):
                parts[-1] = part @ last
            else:
                parts.append(part)
        kept = [part for part in parts if not (isinstance(part, Affine) and part.is_identity)]
        return Chain(tuple(kept)) if len(kept) > 1 else (*kept, Affine(np.eye(4), self.flat))[0]

    def __invert__(self) -> Chain:
        """The same as `inverse`."""
        return self.inverse()

    def __matmul__(self, first: Transform) -> Chain:
        """``(a @ b)(x) = a(b(x))``."""
        return Chain.of(first, self)

    def __repr__(self) -> str:
        parts = [indent(f"{number}. {part!r}", "  ") for number, part in enumerate(self.parts, 1)]
        return "\n".join((f"Chain of {len(parts)}, in the order in which points go through it:", *parts))


def _flattened(part: Part) -> Part:
    if isinstance(part, Affine):
        return part.flattened()
    if not part.flat:
        raise UsageError(f"a field on {part.grid.shape} voxels does not lie on a 2-D image; it does not fit a 2-D file")
    return part


Part = Affine | Displacement
"""What a chain is made of."""

Transform = Affine | Displacement | Chain
"""A map from fixed world to moving world (RAS+ mm)."""
