"""`AffineMap` and the maps that bring two images' centres or origins together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from warpline.dipy.sampling import check_interpolation, sample_affine
from warpline.errors import InputError, UsageError
from warpline.space.grid import Matrix

Shape = Sequence[int]


class AffineInversionError(InputError):
    """The matrix is not square, or has no inverse."""


class AffineInvalidValuesError(InputError):
    """The matrix has entries that are not finite, or its last row is not 0 ... 0 1."""


class AffineMap:
    """An affine map from the world of a domain (static) grid to the world of a codomain (moving) grid, 2-D or 3-D.

    Parameters
    ----------
    affine : (dim + 1, dim + 1) or None
        Static world to moving world, mm; None is the identity.
    domain_grid_shape, codomain_grid_shape : sequence of int, optional
        Shapes of the static and the moving grid: what `transform` and `transform_inverse` fill by default.
    domain_grid2world, codomain_grid2world : (dim + 1, dim + 1), optional
        Voxel to world of either grid, identity when None.

    Raises
    ------
    AffineInversionError, AffineInvalidValuesError
        When `affine` cannot be a map.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import AffineMap
    >>> shift = AffineMap([[1, 0, 2], [0, 1, 0], [0, 0, 1]], (4, 4), np.eye(3), (4, 4), np.eye(3))
    >>> image = np.arange(16.0).reshape(4, 4)
    >>> shift.transform(image)[:, 0]
    array([ 8., 12.,  0.,  0.])
    """

    affine: Matrix | None
    affine_inv: Matrix | None

    def __init__(
        self,
        affine: ArrayLike | None,
        domain_grid_shape: Shape | None = None,
        domain_grid2world: Matrix | None = None,
        codomain_grid_shape: Shape | None = None,
        codomain_grid2world: Matrix | None = None,
    ) -> None:
        self.set_affine(affine)
        self.domain_shape = domain_grid_shape
        self.domain_grid2world = domain_grid2world
        self.codomain_shape = codomain_grid_shape
        self.codomain_grid2world = codomain_grid2world

    def get_affine(self) -> Matrix | None:
        """Return a copy of the matrix, or None for the identity."""
        return None if self.affine is None else self.affine.copy()

    def set_affine(self, affine: ArrayLike | None) -> None:
        """Replace the matrix by a copy of `affine` and update `affine_inv`.

        Raises
        ------
        AffineInversionError, AffineInvalidValuesError
            When it cannot be a map.
        """
        self.affine = self.affine_inv = None
        if affine is None:
            return
        matrix = np.array(affine, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise AffineInversionError(f"affine has shape {matrix.shape}; a square matrix is needed")
        if not np.isfinite(matrix).all():
            raise AffineInvalidValuesError("affine has NaN or infinite entries; give a finite matrix")
        if matrix[-1, -1] != 1 or matrix[-1, :-1].any():
            raise AffineInvalidValuesError(f"affine ends in the row {matrix[-1].tolist()}; 0 ... 0 1 is needed")
        try:
            self.affine_inv = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
            self.affine = matrix
        except np.linalg.LinAlgError:
            raise AffineInversionError("affine is singular: it flattens space; give an invertible matrix") from None

    def __str__(self) -> str:
        return str(self.affine)

    def __repr__(self) -> str:
        return repr(self.affine)

    def __format__(self, format_spec: str) -> str:
        if self.affine is None:
            return str(None)
        dim = len(self.affine) - 1
        views = {"f": np.s_[:, :], "r": np.s_[:dim, :dim], "t": np.s_[:dim, dim:]}
        names = {"": "f", "full": "f", "rotation": "r", "translation": "t"}
        wanted = format_spec.strip().lower()
        key = names.get(wanted, wanted)
        if key not in views:
            raise UsageError(f"format {format_spec!r} is unknown; choose from full, rotation, translation")
        return str(self.affine[views[key]])

    def transform(
        self,
        image: NDArray[Any],
        interpolation: str = "linear",
        image_grid2world: Matrix | None = None,
        sampling_grid_shape: Shape | None = None,
        sampling_grid2world: Matrix | None = None,
        resample_only: bool = False,
    ) -> NDArray[Any]:
        """Carry a moving image onto the static grid.

        Parameters
        ----------
        image : 2-D or 3-D array
            On the codomain grid, or where `image_grid2world` says.
        interpolation : {"linear", "nearest"}
            Linear gives float64 and fades to zero over one voxel outside; nearest keeps the dtype, with
            zero outside and ties to the lower voxel.
        image_grid2world, sampling_grid_shape, sampling_grid2world : optional
            Other grids than those of the map.
        resample_only : bool
            Leave out the affine.

        Raises
        ------
        UsageError
            When the interpolation is unknown, the image has not 2 or 3 axes, or no output shape is known.
        """
        image_grid2world = _first(image_grid2world, self.codomain_grid2world)
        shape, grid2world = (
            sampling_grid_shape or self.domain_shape,
            _first(sampling_grid2world, self.domain_grid2world),
        )
        matrix = None if resample_only else self.affine
        return _carry(image, matrix, (image_grid2world, grid2world), shape, interpolation)

    def transform_inverse(
        self,
        image: NDArray[Any],
        interpolation: str = "linear",
        image_grid2world: Matrix | None = None,
        sampling_grid_shape: Shape | None = None,
        sampling_grid2world: Matrix | None = None,
        resample_only: bool = False,
    ) -> NDArray[Any]:
        """Carry a static image onto the moving grid; arguments as in `transform`, grids exchanged."""
        image_grid2world = _first(image_grid2world, self.domain_grid2world)
        shape = sampling_grid_shape or self.codomain_shape
        grid2world = _first(sampling_grid2world, self.codomain_grid2world)
        matrix = None if resample_only else self.affine_inv
        return _carry(image, matrix, (image_grid2world, grid2world), shape, interpolation)


def transform_centers_of_mass(
    static: ArrayLike, static_grid2world: Matrix | None, moving: ArrayLike, moving_grid2world: Matrix | None
) -> AffineMap:
    """Translation between the intensity centroids; negative intensities count as negative mass.

    Parameters
    ----------
    static, moving : arrays of 2 or 3 axes
        The images.
    static_grid2world, moving_grid2world : (dim + 1, dim + 1), optional
        Voxel to world; identity when None.

    Returns
    -------
    AffineMap
        Static world to moving world.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import transform_centers_of_mass
    >>> static, moving = np.zeros((8, 8)), np.zeros((8, 8))
    >>> static[2:4, 2:4] = moving[2:4, 5:7] = 1
    >>> transform_centers_of_mass(static, None, moving, None).affine[:2, 2]
    array([0., 3.])
    """
    centres = ndimage.center_of_mass(np.asarray(static)), ndimage.center_of_mass(np.asarray(moving))
    return _shift_between(centres, (static, static_grid2world), (moving, moving_grid2world))


def transform_geometric_centers(
    static: ArrayLike, static_grid2world: Matrix | None, moving: ArrayLike, moving_grid2world: Matrix | None
) -> AffineMap:
    """Translation between the voxels ``shape / 2`` of both grids, half a voxel past the true centres, as in DIPY.

    Parameters
    ----------
    static, moving : arrays of 2 or 3 axes
        The images.
    static_grid2world, moving_grid2world : (dim + 1, dim + 1), optional
        Voxel to world; identity when None.

    Returns
    -------
    AffineMap
        Static world to moving world.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import transform_geometric_centers
    >>> transform_geometric_centers(np.zeros((8, 8)), None, np.zeros((8, 12)), None).affine[:2, 2]
    array([0., 2.])
    """
    centres = np.array(np.shape(static)) / 2, np.array(np.shape(moving)) / 2
    return _shift_between(centres, (static, static_grid2world), (moving, moving_grid2world))


def transform_origins(
    static: ArrayLike, static_grid2world: Matrix | None, moving: ArrayLike, moving_grid2world: Matrix | None
) -> AffineMap:
    """Translation between the voxels 0 of both grids.

    Parameters
    ----------
    static, moving : arrays of 2 or 3 axes
        The images.
    static_grid2world, moving_grid2world : (dim + 1, dim + 1), optional
        Voxel to world; identity when None.

    Returns
    -------
    AffineMap
        Static world to moving world.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import transform_origins
    >>> moved = np.array([[1, 0, 5], [0, 1, 0], [0, 0, 1.0]])
    >>> transform_origins(np.zeros((8, 8)), np.eye(3), np.zeros((8, 8)), moved).affine[:2, 2]
    array([5., 0.])
    """
    origin = np.zeros(np.ndim(static))
    return _shift_between((origin, origin), (static, static_grid2world), (moving, moving_grid2world))


def _shift_between(
    voxels: tuple[ArrayLike, ArrayLike],
    static: tuple[ArrayLike, Matrix | None],
    moving: tuple[ArrayLike, Matrix | None],
) -> AffineMap:
    dim = np.ndim(static[0])
    to_world = [np.eye(dim + 1) if matrix is None else matrix for _, matrix in (static, moving)]
    start, end = (m[:dim, :dim] @ np.asarray(v) + m[:dim, dim] for m, v in zip(to_world, voxels, strict=True))
    shift = np.eye(dim + 1)
    shift[:dim, dim] = end - start
    return AffineMap(shift, np.shape(static[0]), to_world[0], np.shape(moving[0]), to_world[1])


def _carry(
    image: NDArray[Any],
    affine: Matrix | None,
    grids: tuple[Matrix | None, Matrix | None],
    shape: Shape | None,
    interpolation: str,
) -> NDArray[Any]:
    check_interpolation(interpolation)
    image = np.asarray(image)
    if image.ndim not in (2, 3):
        raise UsageError(f"image has {image.ndim} axes; 2 or 3 are allowed, carry a series volume by volume")
    if shape is None:
        raise UsageError("the map has no grid to sample on; give sampling_grid_shape")
    image_grid, sampling_grid = (np.eye(image.ndim + 1) if matrix is None else matrix for matrix in grids)
    through = sampling_grid if affine is None else affine @ sampling_grid
    matrix = np.linalg.inv(image_grid) @ through
    dtype = np.float64 if interpolation == "linear" else None
    return sample_affine(image, matrix, tuple(int(n) for n in shape), interpolation, dtype)


def _first(given: Matrix | None, default: Matrix | None) -> Matrix | None:
    return default if given is None else given
