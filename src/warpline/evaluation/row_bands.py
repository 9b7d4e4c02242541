"""Bands of rows that stand for a large image, so that measuring its similarity costs little whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.evaluation.measures import WINDOW_RADIUS, extent
from warpline.images import Image
from warpline.resampling import warp
from warpline.space import Chain
from warpline.space.grid import Grid, Shape

MAX_SECTION, MAX_VOLUME = 2**20, 2**24
"""Voxels of the box around what is compared, up to which all of them are measured: 1024 x 1024 pixels, 256^3 voxels."""

MIN_ROWS, MAX_BANDS = 12, 32
"""Least rows of a band that a larger image is measured on, so that most small windows are whole, and most bands."""


@dataclass(frozen=True)
class RowBands:
    """Bands of rows, evenly spread along the longest axis of a grid; all of it where nothing is left out.

    Parameters
    ----------
    grid : Grid
        The whole grid.
    axis : int
        Which rows are chosen along.
    bands : tuple of (start, stop)
        First and one-past-last row of each band; empty where all is measured.
    share : float
        Share of the box around what is compared that they hold.
    """

    grid: Grid
    axis: int = 0
    bands: tuple[tuple[int, int], ...] = ()
    share: float = 1.0

    @classmethod
    def of(cls, where: Image) -> RowBands:
        """What to measure of the voxels that a mask marks; the whole grid where bands would miss them all."""
        shape = where.grid.shape
        most = MAX_SECTION if min(shape) == 1 else MAX_VOLUME
        if np.prod(shape) <= most:
            return cls(where.grid)
        axis = int(np.argmax(shape))
        ends = [extent(where.data, along) for along in range(3)]
        share = most / float(np.prod([stop - start for start, stop in ends]))
        if share >= 1:
            return cls(where.grid)
        found = cls(where.grid, axis, _spread(*ends[axis], share), share)
        return found if found.mask(where).data.any() else cls(where.grid)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.bands

    def image(self, image: Image) -> Image:
        """The bands of an image on the grid, one after the other, each between copies of its outermost rows."""
        return image if self.is_whole else self._stacked(self._bands_of(image), image.name, mode="edge")

    def mask(self, where: Image) -> Image:
        """The bands of a mask; 0 on the rows between them, so that small windows see one band only."""
        return where if self.is_whole else self._stacked(self._bands_of(where), where.name, mode="constant")

    def resampled(self, moving: Image, *, outside: float, backend: Backend) -> Image:
        """What `image` gives of an image on another grid, resampled by the headers alone."""
        if self.is_whole:
            return warp(moving, Chain(), self.grid, outside=outside, backend=backend)
        ready = Image(np.ascontiguousarray(moving.data, np.float32), moving.grid, moving.name)
        parts = [self.grid.cropped(self._at((0, 0, 0), a), self._at(self.grid.shape, b)) for a, b in self.bands]
        found = [warp(ready, Chain(), part, outside=outside, backend=backend).data for part in parts]
        return self._stacked(found, moving.name, mode="edge")

    def _bands_of(self, image: Image) -> list[NDArray[np.generic]]:
        before = [slice(None)] * self.axis
        return [image.data[(*before, slice(start, stop))] for start, stop in self.bands]

    def _stacked(self, parts: list[NDArray[np.generic]], name: str, *, mode: Literal["edge", "constant"]) -> Image:
        """Bands and the rows between them as one image, on a grid that all images of one choice of bands share."""
        width = [(WINDOW_RADIUS, WINDOW_RADIUS) if axis == self.axis else (0, 0) for axis in range(3)]
        data = np.concatenate([np.pad(part, width, mode=mode) for part in parts], self.axis)
        return Image(data, Grid(data.shape, self.grid.affine), name)

    def _at(self, place: Shape, row: int) -> Shape:
        i, j, k = (row if axis == self.axis else at for axis, at in enumerate(place))
        return i, j, k


def _spread(start: int, stop: int, share: float) -> tuple[tuple[int, int], ...]:
    """Bands that hold a share of the rows, each in the middle of its part."""
    count = int(np.clip(share * (stop - start) / MIN_ROWS, 1, MAX_BANDS))
    part = (stop - start) / count
    size = max(int(share * part), 1)
    firsts = [start + int(part * number + (part - size) / 2) for number in range(count)]
    return tuple((first, first + size) for first in firsts)
