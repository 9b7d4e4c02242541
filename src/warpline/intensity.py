"""Images as the solvers want them: on a backend, background 0, range about 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.errors import InputError
from warpline.geometry import Grid, Shape
from warpline.image import Image

BACKGROUND = 0.9
"""Share of the outer faces that must have one value for it to be the background."""
BRIGHT = 0.995
"""Quantile of the content that becomes 1."""
CLIPPED = 2.5
"""Values beyond this, of either sign, become it: one voxel far off the rest would take all bins of a histogram. Brains
and heads reach 2.4."""
DARK = 1e-3
"""Quantile that stands in for the lowest value where that is further below than the range above reaches."""


@dataclass(frozen=True, eq=False)
class Normalised:
    """An image on a backend, scaled for registration.

    Parameters
    ----------
    name : str
        Of the image, for messages.
    grid : Grid
        Where it lies.
    volume : (I, J, K) float32
        (image - background) / range, on the backend; nobody may write to it.
    has_background : bool
        Whether the outer faces are a constant, so that nothing is lost by taking it to continue outside.
    start, stop : (3,) int
        First and one-past-last voxel of what differs from the background; the whole grid without one.
    mask : (I, J, K) uint8, optional
        Not 0 where the image counts, on the backend.
    """

    name: str
    grid: Grid
    volume: Array
    has_background: bool
    start: Shape
    stop: Shape
    mask: Array | None = None

    def is_whole(self) -> bool:
        """Whether the content ends before the grid does, so that background surrounds it on every side."""
        ends = zip(self.start, self.stop, self.grid.shape, strict=True)
        return self.has_background and all(n == 1 or (first > 0 and last < n) for first, last, n in ends)


def normalise(image: Image, backend: Backend, mask: Image | None = None) -> Normalised:
    """Shift the background to 0 and scale the 99.5th percentile of the rest to 1; values beyond 2.5 are clipped.

    The background is the value that at least 90 % of the voxels of the outer faces have; where there is none, the
    smallest value that is not far off the rest is taken and the image counts as having none. With a mask (not 0 where
    the image counts, on any grid), only what it marks sets the range. Of a shared image the result is kept on the
    backend, and what is made of the result.

    Raises
    ------
    InputError
        When the mask has no voxel inside the image.
    """
    found = backend.kept.get(image, ("normalised", mask), lambda: _normalised(image, backend, mask))
    if backend.kept.is_shared(image):
        backend.kept.share(found)
    return found


def _normalised(image: Image, backend: Backend, mask: Image | None) -> Normalised:
    background = _background(image.data)
    volume = _shifted(image.data, background, backend)
    counted, chosen = (volume != 0).astype(np.uint8), None
    if mask is not None:
        chosen = _mask_on(image.grid, mask, backend)
        counted = counted * chosen
    count, _, bright, _ = backend.statistics(volume, BRIGHT, mask=counted)
    if count:
        volume /= np.float32(bright)
        volume.clip(-CLIPPED, CLIPPED, out=volume)
    ends = np.array([(0, 0, 0), np.subtract(image.grid.shape, 1)], float)
    if background is not None:
        found = backend.extent(volume, np.eye(4))
        ends = found if np.isfinite(found).all() else ends
    start, stop = (cast(Shape, tuple(int(n) for n in end)) for end in (ends[0], ends[1] + 1))
    return Normalised(image.name, image.grid, volume, background is not None, start, stop, chosen)


def _background(data: NDArray[np.generic]) -> Any:
    """The value that most voxels of the outer faces have; None where no value has enough of them."""
    faces = np.concatenate([np.take(data, (0, -1), axis=axis).ravel() for axis in range(3) if data.shape[axis] > 1])
    middle = np.partition(faces, faces.size // 2)[faces.size // 2]  # what more than half of them have is the median
    return middle if np.count_nonzero(faces == middle) >= BACKGROUND * faces.size else None


def _darkest(data: NDArray[np.generic]) -> Any:
    """The smallest value; where it is far off the rest, the one that one voxel in a thousand lies below."""
    ranks = int(DARK * data.size), int(BRIGHT * (data.size - 1))
    low, bright = np.partition(data, ranks, axis=None)[list(ranks)]
    lowest = data.min()
    return low if float(low) - float(lowest) > float(bright) - float(low) else lowest


def _shifted(data: NDArray[np.generic], background: Any, backend: Backend) -> Array:
    """``data - background`` in single precision, on the backend; the darkest value stands in for no background."""
    if background is None:
        background = _darkest(data)
    if np.can_cast(data.dtype, np.float32, "safe"):
        volume = backend.upload(np.ascontiguousarray(data, data.dtype.newbyteorder("="))).astype(np.float32)
        volume -= np.float32(background)
        return volume
    return backend.upload(np.subtract(data, background, dtype=np.float64).astype(np.float32, order="C"))


def _mask_on(grid: Grid, mask: Image, backend: Backend) -> Array:
    """Where a mask is not 0, by nearest neighbour on a grid, uint8."""
    chosen: Array = backend.upload(np.ascontiguousarray(mask.data != 0, dtype=np.uint8))
    if mask.grid != grid:
        chosen = backend.sample(chosen, grid.voxel_map_to(mask.grid), shape=grid.shape, order=0)
    if chosen.size == 0 or not chosen.max():
        raise InputError(f"{mask.name} has no voxel inside its image; it must cover part of the image in world space")
    return chosen
