"""Large images through transforms, part by part of the output, in their own type: no copy of a whole image is made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images import Image
from warpline.resampling.slabs import slabs
from warpline.space import Transform
from warpline.space.dense import Pullback, pull_back
from warpline.space.grid import Grid, Matrix, apply_affine

PART = 2**23
"""About as many voxels of the output are made at once; their displacements take 100 MB, and as much when composed."""

REACH = 2
"""Voxels around what is read that are kept, so that nothing inside the image counts as outside."""


def warp_in_parts(image: Image, transform: Transform, grid: Grid, *, outside: float, backend: Backend) -> Image:
    """Resample an image linearly through a transform, as `warp` does, part by part of the first axis.

    Parameters
    ----------
    image : Image
        One volume.
    transform : Affine, Displacement or Chain
        World points (RAS+ mm) of `grid` to world points of `image`.
    grid : Grid
        Where the result lives.
    outside : float
        Value where the point leaves the image.
    backend : Backend
        What computes; only what a part reads of the image is on it.

    Returns
    -------
    Image
        On `grid`; integers stay what they are, rounded, where `outside` is one of their values; else float32.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline.backends
    >>> image = warpline.Image.from_array(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    >>> half = warpline.Affine(np.array([[1, 0, 0, 0.25], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    >>> backend = warpline.backends.select("numpy")
    >>> warp_in_parts(image, half, image.grid, outside=0, backend=backend).data.ravel().tolist()
    [1, 2, 3, 4, 4, 5, 6, 7]
    """
    warped = np.empty(grid.shape, _type_with(image.data.dtype, outside))
    for slab in slabs(grid.shape, PART):
        part = grid.cropped((slab.start, 0, 0), (slab.stop, *grid.shape[1:]))
        values = _read(image, pull_back(transform, part, backend), outside, backend)
        warped[slab] = values if warped.dtype.kind == "f" else _rounded(values, warped.dtype)
    return Image(warped, grid.bare, image.name)


def _type_with(dtype: np.dtype[Any], outside: float) -> np.dtype[Any]:
    """The type of an image, where it is one of integers that can hold `outside`."""
    if dtype.kind not in "iu":
        return np.dtype(np.float32)
    limits = np.iinfo(dtype)
    fits = float(outside).is_integer() and limits.min <= outside <= limits.max
    return dtype.newbyteorder("=") if fits else np.dtype(np.float32)


def _rounded(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.itemsize <= 2:  # single precision holds them all, and what is interpolated lies between them
        return np.rint(values, out=values).astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(dtype)


def _read(image: Image, mapping: Pullback, outside: float, backend: Backend) -> NDArray[np.float32]:
    """An image at the voxels of a part, from the box of it that they reach."""
    matrix, shape = np.array(mapping.matrix_to(image.grid)), mapping.grid.shape
    low, high = _bounds(matrix, mapping)
    start = np.clip(np.floor(low).astype(int) - REACH, 0, image.grid.shape)
    stop = np.clip(np.ceil(high).astype(int) + REACH + 1, 0, image.grid.shape)
    if (start >= stop).any():
        return np.full(shape, outside, np.float32)
    box = tuple(slice(a, b) for a, b in zip(start.tolist(), stop.tolist(), strict=True))
    matrix[:3, 3] -= start
    with backend.session():
        source = backend.upload(np.ascontiguousarray(image.data[box], np.float32))
        field = None if mapping.field is None else backend.upload(mapping.field)
        read: NDArray[np.float32] = backend.download(
            backend.sample(source, matrix, field=field, shape=shape, order=1, outside=outside)
        )
    return read


def _bounds(matrix: Matrix, mapping: Pullback) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest voxel coordinates (3,) of an image that a part may read."""
    corners = np.array(np.meshgrid(*((0, n - 1) for n in mapping.grid.shape), indexing="ij")).reshape(3, -1).T
    places = apply_affine(matrix, corners)
    low, high = places.min(axis=0), places.max(axis=0)
    if mapping.field is not None:
        ends = np.array([[component.min(), component.max()] for component in mapping.field], float)
        moved = matrix[:3, :3, None] * ends
        low, high = low + moved.min(axis=2).sum(axis=1), high + moved.max(axis=2).sum(axis=1)
    return low, high
