"""Images resampled through transforms onto grids by splines, and regridding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import Array, Backend, select
from warpline.errors import UsageError
from warpline.images import Image
from warpline.images.array_exchange import nearest_backend
from warpline.resampling.on_device import run_concurrently
from warpline.space import Affine, Transform
from warpline.space.dense import pull_back
from warpline.space.grid import Grid

ORDERS = (0, 1, 3)
"""Orders of `warp` and `resample`: nearest, linear, cubic B-spline."""


def warp(
    image: Image, transform: Transform, grid: Grid, *, order: int = 1, outside: float = 0.0, backend: Backend
) -> Image:
    """Resample `image` on `grid` through `transform`, in one interpolation: ``out(x) = image(transform(x))``.

    Parameters
    ----------
    image : Image
        3-D, or 4-D: then volume by volume, on a GPU two at a time, so that one is copied while the other is computed.
    transform : Affine, Displacement or Chain
        World points (RAS+ mm) of `grid` to world points of `image`. A displacement is zero outside its own grid;
        several displacements, or one on another grid, are first composed on `grid`, by linear interpolation.
    grid : Grid
        Where the result lives.
    order : {0, 1, 3}
        Nearest, linear or cubic B-spline.
    outside : float
        Value where the point leaves the image.
    backend : Backend
        What computes.

    Returns
    -------
    Image
        On `grid`. Order 0 keeps dtype and values exactly; higher orders give float32. On the GPU as well where the
        values of `image` are on the one that computes.

    Raises
    ------
    UsageError
        When `order` is not offered.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline.backends
    >>> grid = warpline.Grid((2, 2, 2), np.eye(4))
    >>> image = warpline.Image(np.arange(8, dtype=np.float32).reshape(2, 2, 2), grid)
    >>> backend = warpline.backends.select("numpy")
    >>> warpline.warp(image, warpline.Affine.identity(), grid, backend=backend).data[1, 1]
    array([6., 7.], dtype=float32)
    """
    if order not in ORDERS:
        raise UsageError(f"order is {order!r}; choose from {', '.join(map(str, ORDERS))}")
    mapping = pull_back(transform, grid, backend)
    matrix, there = mapping.matrix_to(image.grid), image.values_on(backend)
    given, kind = image.data if there is None else there, _readable_type(image.data, order)
    with backend.session():
        field = None if mapping.field is None else backend.upload(mapping.field)

    def resampled(volume: Array, out: NDArray[Any] | None, kept: Array | None) -> tuple[NDArray[Any], Array]:
        how: dict[str, Any] = {"field": field, "shape": grid.shape, "order": order, "outside": outside, "out": kept}
        with backend.session():
            moved = backend.sample(_readable(volume, kind, backend), matrix, **how)
            return backend.download(moved, out), moved

    if image.data.ndim == 3:
        data, moved = resampled(given, None, None)
        return image.with_values(data, grid.bare, None if there is None else moved)
    count = image.data.shape[-1]
    data = np.empty((*grid.shape, count), kind)
    with backend.session():
        kept: Array = [None] * count if there is None else backend.empty((count, *grid.shape), kind)

    def one(number: int) -> None:  # returns nothing, or all volumes would be on the device at once
        resampled(given[..., number], data[..., number], kept[number])

    run_concurrently(one, iter(range(count)), backend, field)
    return image.with_values(data, grid.bare, None if there is None else kept.transpose(1, 2, 3, 0))


def series(image: Image) -> Iterator[NDArray[Any]]:
    """The volumes (I, J, K) of an image, one after the other."""
    return iter([image.data]) if image.data.ndim == 3 else iter(np.moveaxis(image.data, -1, 0))


def stacked(volumes: list[NDArray[Any]], grid: Grid, image: Image) -> Image:
    """`volumes` on `grid`, with as many axes and the name of `image`."""
    return Image(volumes[0] if image.data.ndim == 3 else np.stack(volumes, axis=-1), grid.bare, image.name)


def resample(
    image: Image,
    *,
    like: Image | Grid | None = None,
    voxel_size: float | ArrayLike | None = None,
    order: int = 1,
    outside: float = 0.0,
    backend: Backend | None = None,
) -> Image:
    """Resample `image` through world coordinates, onto another grid or to another voxel size.

    No smoothing is applied: before reducing the resolution, smooth the image or expect aliasing.

    Parameters
    ----------
    image : Image
        3-D, or 4-D: then volume by volume.
    like : Image or Grid, optional
        Grid of the result. Exactly one of `like` and `voxel_size` must be given.
    voxel_size : float or (3,), optional
        In mm. The first outer faces stay where they are; the last ones move outwards to the next whole
        voxel. Axes of one voxel (2-D images) are left alone.
    order : {0, 1, 3}
        Nearest, linear or cubic B-spline.
    outside : float
        Value beyond the image.
    backend : Backend, optional
        What computes. When None, the GPU that holds the values of `image`, else ``warpline.backends.select()``.

    Returns
    -------
    Image
        Order 0 keeps dtype and values exactly; higher orders give float32.

    Raises
    ------
    UsageError
        When both or neither of `like` and `voxel_size` are given, or a voxel size is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> image = warpline.Image(np.ones((4, 4, 4), np.float32), warpline.Grid((4, 4, 4), np.eye(4)))
    >>> warpline.resample(image, voxel_size=2.0).grid.shape
    (2, 2, 2)
    """
    if (like is None) == (voxel_size is None):
        raise UsageError("resample needs either like (an Image or a Grid) or voxel_size (mm), and not both")
    if voxel_size is not None:
        grid = with_voxel_size(image.grid, voxel_size)
    else:
        grid = like.grid if isinstance(like, Image) else like  # type: ignore[assignment]
    chosen = select(nearest_backend(backend, image=image))
    return warp(image, Affine.identity(), grid, order=order, outside=outside, backend=chosen)


def with_voxel_size(grid: Grid, voxel_size: float | ArrayLike) -> Grid:
    """A grid of other voxels, as `resample` makes it.

    Raises
    ------
    UsageError
        When a voxel size is not positive.
    """
    size = np.broadcast_to(np.asarray(voxel_size, dtype=np.float64), 3)
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise UsageError(f"voxel_size is {voxel_size!r}; one or three positive lengths in mm are needed")
    single = np.array(grid.shape) == 1
    ratio = np.where(single, 1.0, size / grid.voxel_size)
    count = np.maximum(np.ceil(np.array(grid.shape) / ratio - 1e-3), 1).astype(int)
    zoom = np.diag([*ratio, 1.0])
    zoom[:3, 3] = (ratio - 1) / 2
    return Grid(tuple(count.tolist()), grid.affine @ zoom, grid.flat)


def _readable(volume: Array, kind: np.dtype[Any], backend: Backend) -> Array:
    """A volume of the host, or of this backend's GPU, as the backend samples it; it may be that of the image."""
    if isinstance(volume, np.ndarray):
        return backend.upload(np.ascontiguousarray(volume, kind))
    return volume.astype(kind, order="C", copy=False)


def _readable_type(volume: NDArray[Any], order: int) -> np.dtype[Any]:
    return volume.dtype.newbyteorder("=") if order == 0 else np.dtype(np.float32)
