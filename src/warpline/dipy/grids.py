"""Conversion between DIPY's arrays with 2-D or 3-D matrices and images of three axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import UsageError
from warpline.images import Image, embed_affine
from warpline.space import Affine
from warpline.space.grid import Matrix

PLANE = (0, 1, 3)
"""Rows and columns of a 4x4 matrix that act on 2-D points."""


def image_of(data: Any, grid2world: Matrix | None, name: str) -> Image:
    """Wrap a 2-D or 3-D array; `grid2world` is (3, 3) or (4, 4), identity when None.

    Raises
    ------
    UsageError
        When the matrix does not fit the number of axes.
    """
    array = np.asarray(data)
    size = array.ndim + 1
    if grid2world is not None and np.shape(grid2world) != (size, size):
        raise UsageError(f"{name}_grid2world has shape {np.shape(grid2world)}; {(size, size)} is needed for its image")
    return Image.from_array(array, grid2world, name)


def mask_of(mask: Any, image: Image) -> Image | None:
    """Wrap a mask on the grid of its image; None without one."""
    if mask is None:
        return None
    return Image(np.asarray(mask).reshape(image.grid.shape), image.grid, f"{image.name}_mask")


def affine_of(matrix: Matrix | None) -> Affine:
    """Wrap a (3, 3) or (4, 4) world matrix; identity when None."""
    return Affine(embed_affine(matrix))


def flatten(matrix: Matrix, dim: int) -> Matrix:
    """Return the part of a (4, 4) matrix that acts on points of `dim` axes, as a writable copy."""
    return np.array(matrix if dim == 3 else matrix[np.ix_(PLANE, PLANE)])


def field_of(displacement: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Turn a field (3, I, J, K) into DIPY's layout (I, J, K, 3), or (I, J, 2) for one slice."""
    field = displacement if dim == 3 else displacement[:2, :, :, 0]
    return np.ascontiguousarray(np.moveaxis(field, 0, -1))


def mult_aff(A: Matrix | None, B: Matrix | None) -> Matrix | None:
    """Return the product ``A B``, with None for the identity; None when both are.

    Parameters
    ----------
    A, B : (dim + 1, dim + 1) or None
        Homogeneous matrices; None is the identity.

    Returns
    -------
    (dim + 1, dim + 1) or None
        The product.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import mult_aff
    >>> mult_aff(None, 2 * np.eye(2))
    array([[2., 0.],
           [0., 2.]])
    """
    if A is None or B is None:
        return B if A is None else A
    return np.asarray(A @ B)


def get_direction_and_spacings(affine: Matrix | None, dim: int) -> tuple[Matrix, NDArray[np.float64]]:
    """Return the directions of the grid's axes as columns (dim, dim), and its spacings (dim,).

    Of a voxel to world matrix (dim + 1, dim + 1); the identity when None.

    Parameters
    ----------
    affine : (dim + 1, dim + 1) or None
        Voxel to world; identity when None.
    dim : {2, 3}
        Dimension of space.

    Returns
    -------
    directions : (dim, dim)
        Unit vectors of the grid's axes, as columns.
    spacings : (dim,)
        Voxel sizes in mm.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import get_direction_and_spacings
    >>> directions, spacings = get_direction_and_spacings(np.diag([-2.0, 3.0, 1.0]), 2)
    >>> spacings
    array([2., 3.])
    """
    if affine is None:
        return np.eye(dim), np.ones(dim)
    axes = np.asarray(affine, dtype=np.float64)[:-1, :-1]
    spacings = np.sqrt((axes**2).sum(axis=0))
    return axes / spacings, spacings
