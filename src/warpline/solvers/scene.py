"""What a deformable solver sees: normalised volumes, cut to their content, on the backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import Array, Backend
from warpline.geometry import Grid, Matrix, Shape, apply_affine
from warpline.image import Image
from warpline.intensity import Normalised, normalise
from warpline.transforms import Affine

MARGIN = 6
"""Voxels of background kept around the content of the two images."""

STRIDE = 3
"""Every how manieth voxel of the moving image is looked at to find where its content falls."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Two images ready to be aligned.

    Parameters
    ----------
    fixed : (I, J, K) float32
        On `grid`, a box of the fixed grid around the content of both images; background 0.
    moving : (I', J', K') float32
        On `moving_grid`, a box of the moving grid around its content; background 0.
    affine : (4, 4)
        Fixed world to moving world.
    content : bool, on the whole fixed grid
        Where the map must be invertible: the fixed mask, else everything that is not background.
    fixed_mask, moving_mask : float32 volumes, optional
        Positive where the image counts, each on the grid of its image.
    """

    fixed: Array
    moving: Array
    grid: Grid
    moving_grid: Grid
    affine: Matrix
    content: NDArray[np.bool_]
    fixed_mask: Array | None = None
    moving_mask: Array | None = None


def prepare(
    fixed: Image,
    moving: Image,
    affine: Affine,
    *,
    backend: Backend,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
) -> Scene:
    """Normalise both images, cut them to their content and put them on the backend.

    An image that its field of view cuts gets a mask that ends with its grid, so that nothing is compared with what
    lies beyond.
    """
    still, moved = _normalised(fixed, fixed_mask, backend), _normalised(moving, moving_mask, backend)
    grid = _common_box(fixed.grid, still, moving.grid.voxel_map_to(fixed.grid, affine.inverse().matrix), moved)
    inner = _widened(moving.grid, *moved.content_box())
    return Scene(
        fixed=_box_of(fixed, still, fixed_mask, grid, backend),
        moving=_box_of(moving, moved, moving_mask, inner, backend),
        grid=grid,
        moving_grid=inner,
        affine=affine.matrix,
        content=still.volume != 0 if fixed_mask is None else np.not_equal(fixed_mask.data, 0),
        fixed_mask=_cut(_mask(fixed_mask, still), fixed.grid, grid, backend),
        moving_mask=_cut(_mask(moving_mask, moved), moving.grid, inner, backend),
    )


def _normalised(image: Image, mask: Image | None, backend: Backend) -> Normalised:
    """Intensities as the solver wants them; of a shared image they are kept."""
    marked = None if mask is None else mask.data
    return backend.kept.get(image, ("normalised", mask), lambda: normalise(image.data, marked))


def _mask(mask: Image | None, image: Normalised) -> NDArray[np.float32] | None:
    if mask is not None:
        counted: NDArray[np.float32] = np.not_equal(mask.data, 0).astype(np.float32)
        return counted
    return None if image.is_whole() else _field_of_view(image.volume.shape)


def _field_of_view(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """1 inside a grid, 0 on its outermost voxels, whose neighbourhood is not whole."""
    inside = np.zeros(shape, np.float32)
    inside[tuple(slice(1, -1) if n > 2 else slice(None) for n in shape)] = 1
    return inside


def _common_box(grid: Grid, fixed: Normalised, moving_to_fixed: Matrix, moving: Normalised) -> Grid:
    """The part of the fixed grid that holds the content of both images and a margin."""
    if not fixed.has_background:
        return grid
    start, stop = (np.array(end) for end in fixed.content_box())
    if moving.has_background:
        content = np.argwhere(moving.volume[::STRIDE, ::STRIDE, ::STRIDE] != 0) * STRIDE
        content = np.concatenate([content, *([end] for end in moving.content_box())])
        landed = apply_affine(moving_to_fixed, content)
        start, stop = np.minimum(start, landed.min(axis=0) - STRIDE), np.maximum(stop, landed.max(axis=0) + STRIDE)
    return _widened(grid, np.floor(start).astype(int), np.ceil(stop).astype(int))


def _widened(grid: Grid, start: ArrayLike, stop: ArrayLike) -> Grid:
    """The box from `start` to `stop` and a margin, within the grid."""
    first = np.maximum(np.asarray(start) - MARGIN, 0)
    last = np.minimum(np.asarray(stop) + MARGIN, grid.shape)
    return grid.cropped(_triple(first), _triple(last))


def _triple(values: NDArray[np.int64]) -> Shape:
    return int(values[0]), int(values[1]), int(values[2])


def _box_of(image: Image, normalised: Normalised, mask: Image | None, part: Grid, backend: Backend) -> Array:
    """The normalised image on a part of its grid; a shared image is cut on the backend, where it stays."""
    if not backend.kept.is_shared(image):
        return _cut(normalised.volume, image.grid, part, backend)
    whole = backend.kept.get(image, ("uploaded", mask), lambda: backend.upload(normalised.volume))
    return whole[_spans(part, image.grid)].copy()


def _cut(volume: NDArray[np.float32] | None, whole: Grid, part: Grid, backend: Backend) -> Array:
    if volume is None:
        return None
    return backend.upload(np.ascontiguousarray(volume[_spans(part, whole)]))


def _spans(part: Grid, whole: Grid) -> tuple[slice, ...]:
    start = np.rint(part.voxel_map_to(whole)[:3, 3]).astype(int)
    return tuple(slice(a, a + n) for a, n in zip(start.tolist(), part.shape, strict=True))
