"""The pair that SyN registers: normalised volumes, cropped to what they show, on the backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import Array, Backend
from warpline.images import Image
from warpline.images.intensity import Normalised
from warpline.recipe.syn import Contrast
from warpline.registration.surfaces import LoadedSurfaces
from warpline.space import Affine
from warpline.space.grid import Grid, Matrix, Shape

MARGIN = 6
"""Voxels of background left around the foreground of the two images.

Windows of the metric reach into it: fewer cut them off at the edge of the crop, more cost memory and time."""


Side = tuple[Array, Grid, Matrix, Array | None]
"""A volume, its grid, the map from the fixed world to its world, and its mask."""

Weights = tuple[Array, Grid]
"""Weights of voxels (I, J, K) float32, up to 1, and where they lie."""


@dataclass(frozen=True, eq=False)
class Channel:
    """Two images that are compared with each other, on the backend; nobody may write to its arrays.

    Parameters
    ----------
    fixed, moving : Array
        Volumes on `grid` and `moving_grid`: float32 with background 0, or labels.
    grid, moving_grid : Grid
        Anywhere in the fixed world and in the moving one.
    fixed_mask, moving_mask : float32 volumes, optional
        Positive where the image counts, each on the grid of its image.
    metric : str, optional
        Key of `DEFORMABLE_METRICS`; that of the recipe when None.
    weight : float
        Of its forces beside those of other channels.
    contrast : str, optional
        As `Syn.contrast`; that of the recipe when None.
    fixed_weights, moving_weights : Weights, optional
        How much places count, each anywhere in the world of its image; nothing beyond its grid.
    """

    fixed: Array
    moving: Array
    grid: Grid
    moving_grid: Grid
    fixed_mask: Array | None = None
    moving_mask: Array | None = None
    metric: str | None = None
    weight: float = 1.0
    contrast: Contrast | None = None
    fixed_weights: Weights | None = None
    moving_weights: Weights | None = None

    def weights(self, affine: Matrix) -> tuple[tuple[Weights | None, Matrix], ...]:
        """Those of fixed and moving, and the map from the fixed world to the world they lie in."""
        return (self.fixed_weights, np.eye(4)), (self.moving_weights, affine)

    def sides(self, affine: Matrix) -> tuple[Side, Side]:
        """Fixed and moving, where the affine maps the fixed world to the moving one."""
        return (self.fixed, self.grid, np.eye(4), self.fixed_mask), (
            self.moving,
            self.moving_grid,
            affine,
            self.moving_mask,
        )


@dataclass(frozen=True, eq=False)
class CroppedPair:
    """What SyN registers, cropped to what the two images show.

    Parameters
    ----------
    channels : tuple of Channel
        The first is that of the two images; its `grid` is a box of the fixed grid around the foreground of both.
    affine : (4, 4)
        Fixed world to moving world.
    foreground : uint8, on the whole fixed grid
        Not 0 where the map must be invertible: the fixed mask, else everything that is not background.
    allowed : (3, 3), optional
        Projection of world vectors onto the directions along which points may move; all when None.
    landmarks : (2, N, 3), optional
        Of the fixed image, and of the moving one carried back through the affine, in the fixed world.
    surfaces : tuple of LoadedSurfaces
        That shall come together, likewise both in the fixed world.
    """

    channels: tuple[Channel, ...]
    affine: Matrix
    foreground: Array
    allowed: Matrix | None = None
    landmarks: NDArray[np.float64] | None = None
    surfaces: tuple[LoadedSurfaces, ...] = ()

    @property
    def grid(self) -> Grid:
        """The box of the fixed grid that is registered."""
        return self.channels[0].grid


def crop_pair(
    fixed: Normalised, moving: Normalised, affine: Affine, *, backend: Backend, beyond: str = "unknown"
) -> CroppedPair:
    """Crop both images to what differs from their background.

    An image that its field of view cuts gets a mask that ends with its grid, so that nothing is compared with what
    lies beyond; not where that is taken for "background".
    """
    grid = _common_box(fixed, moving, affine, backend)
    inner = _box_with_margin(moving.grid, moving.start, moving.stop)
    images = _channel((fixed, grid), (moving, inner), backend, beyond)
    return CroppedPair((images,), affine.matrix, fixed.object_mask if fixed.mask is None else fixed.mask)


def own_channel(fixed: Normalised, moving: Normalised, *, backend: Backend, beyond: str = "unknown") -> Channel:
    """Two images, each cropped to what it shows itself; masks as `crop_pair` makes them."""
    boxes = (_box_with_margin(image.grid, image.start, image.stop) for image in (fixed, moving))
    return _channel((fixed, next(boxes)), (moving, next(boxes)), backend, beyond)


def weights_on(images: tuple[Image | None, Image | None], backend: Backend) -> tuple[Weights | None, Weights | None]:
    """The weights of fixed and moving on the backend, the largest of an image 1."""
    fixed, moving = (None if image is None else (_weights(image, backend), image.grid) for image in images)
    return fixed, moving


def _weights(image: Image, backend: Backend) -> Array:
    there = image.values_on(backend)
    weights: Array = (image.data if there is None else there).astype(np.float32, order="C")
    weights /= weights.max()
    return backend.upload(weights) if there is None else weights


def _channel(still: tuple[Normalised, Grid], moved: tuple[Normalised, Grid], backend: Backend, beyond: str) -> Channel:
    """Two images, each cropped to a box of its grid."""
    (fixed, grid), (moving, inner) = still, moved
    return Channel(
        fixed=_crop(fixed.volume, fixed.grid, grid),
        moving=_crop(moving.volume, moving.grid, inner),
        grid=grid,
        moving_grid=inner,
        fixed_mask=_crop(_mask(fixed, backend, beyond), fixed.grid, grid),
        moving_mask=_crop(_mask(moving, backend, beyond), moving.grid, inner),
    )


def _mask(image: Normalised, backend: Backend, beyond: str) -> Array | None:
    if image.mask is not None:
        return (image.mask != 0).astype(np.float32)
    return None if beyond == "background" or image.is_surrounded() else backend.upload(_field_of_view(image.grid.shape))


def _field_of_view(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """1 inside a grid, 0 on its outermost voxels, whose neighbours are partly missing."""
    inside = np.zeros(shape, np.float32)
    inside[tuple(slice(1, -1) if n > 2 else slice(None) for n in shape)] = 1
    return inside


def _common_box(fixed: Normalised, moving: Normalised, affine: Affine, backend: Backend) -> Grid:
    """The box of the fixed grid around the foreground of both images, and a margin."""
    if not fixed.has_background:
        return fixed.grid
    start, stop = np.array(fixed.start, float), np.array(fixed.stop, float)
    if moving.has_background:
        low, high = backend.extent(moving.volume, moving.grid.voxel_map_to(fixed.grid, affine.inverse().matrix))
        start, stop = np.fmin(start, low), np.fmax(stop, high + 1)
    return _box_with_margin(fixed.grid, np.floor(start).astype(int), np.ceil(stop).astype(int))


def _box_with_margin(grid: Grid, start: ArrayLike, stop: ArrayLike) -> Grid:
    """The box from `start` to `stop` and a margin, within the grid."""
    first = np.maximum(np.asarray(start) - MARGIN, 0)
    last = np.minimum(np.asarray(stop) + MARGIN, grid.shape)
    return grid.cropped(_triple(first), _triple(last))


def _triple(values: NDArray[np.int64]) -> Shape:
    return int(values[0]), int(values[1]), int(values[2])


def _crop(volume: Array | None, whole: Grid, part: Grid) -> Array:
    """A copy of a part of a volume; the volume itself, to which nobody may write, where the part is all of it."""
    return volume if volume is None or part == whole else volume[_spans(part, whole)].copy()


def _spans(part: Grid, whole: Grid) -> tuple[slice, ...]:
    start = np.rint(part.voxel_map_to(whole)[:3, 3]).astype(int)
    return tuple(slice(a, a + n) for a, n in zip(start.tolist(), part.shape, strict=True))
