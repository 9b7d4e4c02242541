"""The order of axes in which the stages see an image: an axis of few voxels comes in the middle.

Backends share work along the first axis and run through memory along the last one, many voxels at a time; a section of
one voxel along its last axis took ten times as long per voxel as a volume. The order changes neither the image nor the
map, as both live in world space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images import Image
from warpline.registration.progress import LevelRecord, Progress, ProgressCallback
from warpline.registration.quality import Quality
from warpline.registration.spread import Spread
from warpline.space import Displacement
from warpline.space.grid import Grid, Shape

THIN = 16
"""An axis of fewer voxels than that is thin: as many single-precision numbers as the widest CPU handles at once."""

Values = TypeVar("Values", bound=np.generic)


@dataclass(frozen=True)
class AxisOrder:
    """An exchange of two axes; done twice, it is undone.

    Parameters
    ----------
    axes : (3,) int
        Axis of the image as given that each axis runs along.
    """

    axes: Shape = (0, 1, 2)

    @classmethod
    def of(cls, shape: Shape) -> AxisOrder:
        """The order that brings the shortest axis of a volume into the middle, where it is thin."""
        thinnest = min((1, 0, 2), key=lambda axis: shape[axis])
        if shape[thinnest] >= THIN or thinnest == 1:
            return cls()
        return cls((1, 0, 2) if thinnest == 0 else (0, 2, 1))

    @property
    def is_identity(self) -> bool:
        """Whether nothing is exchanged."""
        return self.axes == (0, 1, 2)

    def volume(self, volume: NDArray[Values]) -> NDArray[Values]:
        """A volume or field (..., I, J, K), contiguous; no copy where the thin axis is one voxel."""
        if self.is_identity:
            return volume
        before = volume.ndim - 3
        order = (*range(before), *(before + axis for axis in self.axes))
        return np.ascontiguousarray(volume.transpose(order))

    def shape(self, shape: Shape) -> Shape:
        """A shape (I, J, K)."""
        return shape[self.axes[0]], shape[self.axes[1]], shape[self.axes[2]]

    def grid(self, grid: Grid) -> Grid:
        """The same lattice."""
        return grid if self.is_identity else Grid(self.shape(grid.shape), grid.affine[:, [*self.axes, 3]])

    def image(self, image: Image, backend: Backend) -> Image:
        """An image; that of a shared image is shared."""
        if self.is_identity:
            return image
        transposed = backend.cache.get(image, ("axis order", self), lambda: self._transpose(image))
        if backend.cache.is_shared(image):
            backend.cache.share(transposed)
        return transposed

    def mask(self, mask: Image | None, image: Image, backend: Backend) -> Image | None:
        """The mask of an image, where it lies on the grid of that; others are resampled anyway."""
        if self.is_identity or mask is None or mask.grid != image.grid:
            return mask
        return backend.cache.get(image, ("axis order", self, mask), lambda: self._transpose(mask))

    def displacement(self, warp: Displacement, grid: Grid) -> Displacement:
        """A displacement on the same lattice as `grid`, on that."""
        if self.is_identity:
            return warp
        inverse = None if warp.inverse_field is None else self.volume(warp.inverse_field)
        return Displacement(self.volume(warp.field), grid, inverse)

    def spread(self, spread: Spread, grid: Grid) -> Spread:
        """A spread on the same lattice as `grid`, on that."""
        return replace(spread, image=Image(self.volume(spread.image.data), grid, spread.image.name))

    def records(self, levels: tuple[LevelRecord, ...]) -> tuple[LevelRecord, ...]:
        """Records of levels, with the axes of their grids exchanged."""
        return tuple(replace(level, shape=self.shape(level.shape)) for level in levels)

    def quality(self, quality: Quality | None) -> Quality | None:
        """A quality, with the units of the axes exchanged."""
        if quality is None:
            return None
        i, j, k = (quality.units[axis] for axis in self.axes)
        return replace(quality, units=(i, j, k))

    def callback(self, callback: ProgressCallback | None) -> ProgressCallback | None:
        """A callback that receives images in the order of axes they were given in."""
        if self.is_identity or callback is None:
            return callback

        def with_given_axes(progress: Progress) -> None:
            images = progress.images
            given = None if images is None else lambda: tuple(self.volume(image) for image in images())
            callback(replace(progress, images=given))

        return with_given_axes

    def _transpose(self, image: Image) -> Image:
        there = None if image.on_gpu is None else image.on_gpu.array.transpose(self.axes)
        return image.with_values(self.volume(image.data), self.grid(image.grid), there)


def reorder_axes(image: Image, mask: Image | None, backend: Backend) -> tuple[Image, Image | None]:
    """An image and its mask with no thin axis first or last, see `AxisOrder`."""
    order = AxisOrder.of(image.grid.shape)
    return order.image(image, backend), order.mask(mask, image, backend)
