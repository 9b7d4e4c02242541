"""Masks and weights that lie on another grid than their image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from warpline.errors import InputError
from warpline.images.image import Image
from warpline.space.grid import Grid


def on_grid(image: Image, grid: Grid) -> Image:
    """A mask or weights at the nearest voxels of a grid, 0 beyond its own; itself where it lies on that grid.

    Parameters
    ----------
    image : Image
        One volume, anywhere in the world of `grid`.
    grid : Grid
        Where it is wanted.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.images.masks import on_grid
    >>> mask = Image.from_array(np.ones((2, 2, 2), np.uint8), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> on_grid(mask, Image.from_array(np.zeros((6, 2, 2))).grid).data[:, 0, 0]
    array([1, 1, 1, 0, 0, 0], dtype=uint8)
    """
    if image.grid == grid:
        return image
    to_image = grid.voxel_map_to(image.grid)
    # Voxels of the image reach half an edge beyond their centres; "constant" would end at these.
    kind = np.uint8 if image.data.dtype == np.bool_ else image.data.dtype.newbyteorder("=")
    data: NDArray[Any] = image.data.astype(kind)
    linear, offset = to_image[:3, :3], to_image[:3, 3]
    nearest = affine_transform(data, linear, offset, grid.shape, order=0, mode="grid-constant", prefilter=False)
    return Image(nearest, grid, image.name)


def check_reaches(image: Image, other: Image) -> None:
    """Refuse a mask or weights of which no voxel other than 0 lies within the image that they are for.

    Raises
    ------
    InputError
        Naming both.
    """
    if not on_grid(image, other.grid).data.any():
        raise InputError(
            f"{image.name} has no voxel other than 0 within {other.name}; it must cover part of that image in world "
            "space: correct the affine of its header"
        )
