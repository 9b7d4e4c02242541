"""Large images through transforms, part by part of the output, in their own type: no copy of a whole image is made."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images import Image
from warpline.resampling import INTERPOLATIONS, Interpolation
from warpline.resampling.parts import Need, Part, Place, parts
from warpline.space import Transform
from warpline.space.grid import Grid

REACH = 2
"""Voxels around what is read that are kept, so that nothing inside the image counts as outside."""

WIDEST = 16
"""The same for any interpolation: the coefficients of a cubic spline forget what is further away."""


def warp_in_parts(
    image: Image, transform: Transform, grid: Grid, *, outside: float, backend: Backend, room: float = math.inf
) -> Image:
    """Resample an image linearly through a transform, as `warp` does, part by part of the grid.

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
    room : float
        Bytes that a part may take, beside the image, the transform and the result.

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
    need = Need.of(INTERPOLATIONS["linear"], image, threads=1)
    read = partial(_read, image, outside=outside, backend=backend)
    for place, values in map(read, parts(transform, grid, need, room=room, reach=REACH, backend=backend)):
        warped[place] = values if warped.dtype.kind == "f" else _rounded(values, warped.dtype)
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
    room: float = math.inf,
) -> Image:
    """What an interpolation gives, made part by part of the grid.

    Parameters
    ----------
    interpolate : Interpolation
        One of `warpline.resampling.INTERPOLATIONS`.
    image, transform, grid, outside, backend, threads
        As it takes them.
    room : float
        Bytes that a part may take, beside the image, the transform and the result.

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
    need = Need.of(interpolate, image, threads)

    def carried(part: Part) -> tuple[Place, NDArray[Any]]:
        seen = Image(np.ascontiguousarray(image.data[part.box]), image.grid.cropped(part.start, part.stop), image.name)
        there = part.mapping.grid
        found = interpolate(seen, transform, there, outside=outside, backend=backend, threads=threads)
        return part.place, found.data

    for place, values in map(carried, parts(transform, grid, need, room=room, reach=WIDEST, backend=backend)):
        if whole is None:
            whole = np.empty((*grid.shape, *values.shape[3:]), values.dtype)
        whole[place] = values
    assert whole is not None, "a grid has voxels"
    return Image(whole, grid.bare, image.name)


def _read(image: Image, part: Part, *, outside: float, backend: Backend) -> tuple[Place, NDArray[np.float32]]:
    """Where a part lies, and an image at its voxels, from the box of it that they reach."""
    mapping = part.mapping
    matrix = np.array(mapping.matrix_to(image.grid))
    matrix[:3, 3] -= part.start
    with backend.session():
        source = backend.upload(np.ascontiguousarray(image.data[part.box], np.float32))
        field = None if mapping.field is None else backend.upload(mapping.field)
        read: NDArray[np.float32] = backend.download(
            backend.sample(source, matrix, field=field, shape=mapping.grid.shape, order=1, outside=outside)
        )
    return part.place, read
