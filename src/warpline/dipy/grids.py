"""Between DIPY's arrays with 2-D or 3-D matrices and this package's images of three axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import UsageError
from warpline.geometry import Matrix
from warpline.image import Image, embed_affine
from warpline.transforms import Affine

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
