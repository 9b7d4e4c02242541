"""Large images through transforms, part by part of the output, in their own type: no copy of a whole image is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images import Image
from warpline.resampling.slabs import slabs
from warpline.space import Transform
from warpline.space.dense import Pullback, pull_back
from warpline.space.grid import Grid, Matrix, Shape, apply_affine

if TYPE_CHECKING:
    from warpline.resampling import Interpolation

PART = 2**23
"""About as many voxels of the output are made at once; their displacements take 100 MB, and as much when composed."""

REACH = 2
"""Voxels around what is read that are kept, so that nothing inside the image counts as outside."""

WIDEST = 16
"""The same for any interpolation: the coefficients of a cubic spline forget what is further away."""


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


def apply_in_parts(
    interpolate: Interpolation,
    image: Image,
    transform: Transform,
    grid: Grid,
    *,
    outside: float,
    backend: Backend,
    threads: int | None = None,
) -> Image:
    """What an interpolation gives, made part by part of the first axis of the grid.

    Parameters
    ----------
    interpolate : Interpolation
        One of `warpline.resampling.INTERPOLATIONS`.
    image, transform, grid, outside, backend, threads
        As it takes them.

    Returns
    -------
    Image
        On `grid`; of the type that the interpolation gives.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline.backends
    >>> from warpline.resampling import INTERPOLATIONS
    >>> image = warpline.Image.from_array(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    >>> how = {"outside": 9, "backend": warpline.backends.select("numpy")}
    >>> ahead = warpline.Affine(np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    >>> apply_in_parts(INTERPOLATIONS["nearest"], image, ahead, image.grid, **how).data.ravel().tolist()
    [4, 5, 6, 7, 9, 9, 9, 9]
    """
    whole: NDArray[Any] | None = None
    for slab in slabs(grid.shape, PART):
        part = grid.cropped((slab.start, 0, 0), (slab.stop, *grid.shape[1:]))
        start, stop = _box(image.grid, pull_back(transform, part, backend), WIDEST)
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        seen = Image(np.ascontiguousarray(image.data[box]), image.grid.cropped(start, stop), image.name)
        values = interpolate(seen, transform, part, outside=outside, backend=backend, threads=threads).data
        if whole is None:
            whole = np.empty((*grid.shape, *values.shape[3:]), values.dtype)
        whole[slab] = values
    assert whole is not None, "a grid has voxels"
    return Image(whole, grid.bare, image.name)


def _read(image: Image, mapping: Pullback, outside: float, backend: Backend) -> NDArray[np.float32]:
    """An image at the voxels of a part, from the box of it that they reach."""
    start, stop = _box(image.grid, mapping, REACH)
    matrix = np.array(mapping.matrix_to(image.grid))
    matrix[:3, 3] -= start
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    with backend.session():
        source = backend.upload(np.ascontiguousarray(image.data[box], np.float32))
        field = None if mapping.field is None else backend.upload(mapping.field)
        read: NDArray[np.float32] = backend.download(
            backend.sample(source, matrix, field=field, shape=mapping.grid.shape, order=1, outside=outside)
        )
    return read


def _box(grid: Grid, mapping: Pullback, reach: int) -> tuple[Shape, Shape]:
    """First and one-past-last voxel of an image that a part may read; one voxel at its face where it reads none."""
    low, high = _bounds(np.array(mapping.matrix_to(grid)), mapping)
    size = np.array(grid.shape)
    start = np.clip(np.floor(low) - reach, 0, size - 1).astype(int)
    stop = np.clip(np.ceil(high) + reach + 1, start + 1, size).astype(int)
    return (int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2]))


def _bounds(matrix: Matrix, mapping: Pullback) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest voxel coordinates (3,) of an image that a part may read; NaN, which reads none, is left out."""
    corners = np.array(np.meshgrid(*((0, n - 1) for n in mapping.grid.shape), indexing="ij")).reshape(3, -1).T
    places = apply_affine(matrix, corners)
    low, high = places.min(axis=0), places.max(axis=0)
    if mapping.field is not None:
        ends = np.array([[np.fmin.reduce(one, axis=None), np.fmax.reduce(one, axis=None)] for one in mapping.field])
        moved = matrix[:3, :3, None] * np.nan_to_num(ends.astype(float))
        low, high = low + moved.min(axis=2).sum(axis=1), high + moved.max(axis=2).sum(axis=1)
    return low, high
