"""Intensity normalisation: images on a backend, background 0, range about 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.errors import InputError
from warpline.images.foreground import background_value, outer_faces
from warpline.images.image import Image
from warpline.space.grid import Grid, Shape

BRIGHT = 0.995
"""Quantile of the foreground that becomes 1; higher, a few bright voxels set the range."""
CLIPPED = 2.5
"""Values beyond this, of either sign, become it: one voxel far off the rest would take all bins of a histogram. Brains
and heads reach 2.4, and a lower bound would cut into them."""
_NEAR_ZERO = 0.2
"""Share of the range of an image at which its darkest values count as far from 0; noise around 0 stays below."""
_DARK_RIM = 0.25
"""Share of the range up to which the outer faces are dark enough to be background; brighter ones show the object."""
_SAMPLE = 2**18
"""Most voxels from which percentiles are taken."""
DARK = 1e-3
"""Quantile that replaces the lowest value where the distance between these two exceeds the range above it."""


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
        First and one-past-last voxel of all that differs from the background; the whole grid without one.
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

    @property
    def object_mask(self) -> Array:
        """Voxels that differ from the background, (I, J, K) uint8 on the backend."""
        return (self.volume != 0).astype(np.uint8)

    def is_surrounded(self) -> bool:
        """Whether background surrounds the foreground on every side within the grid."""
        ends = zip(self.start, self.stop, self.grid.shape, strict=True)
        return self.has_background and all(n == 1 or (first > 0 and last < n) for first, last, n in ends)


def normalise(image: Image, backend: Backend, mask: Image | None = None) -> Normalised:
    """Shift the background to 0 and scale the 99.5th percentile of the rest to 1; values beyond 2.5 are clipped.

    The background is the value that at least 90 % of the voxels of the outer faces have; where there is none, the
    smallest value that is not far off the rest is taken and the image counts as having none. With a mask (not 0 where
    the image counts, on any grid), only what it marks sets the range. For a shared image the result is cached on
    the backend, and so are its levels.

    Raises
    ------
    InputError
        When the mask has no voxel inside the image.
    """
    normalised = backend.cache.get(image, ("normalised", mask), lambda: _normalise(image, backend, mask))
    if backend.cache.is_shared(image):
        backend.cache.share(normalised)
    return normalised


def normalise_alike(images: Sequence[Image], backend: Backend, masks: Sequence[Image | None]) -> tuple[Normalised, ...]:
    """As `normalise`, by one background and one range for all: grey values that are equal stay equal.

    The background is the mean of those that images have; where none has one, the smallest value of all. The range is
    the mean of theirs.

    Parameters
    ----------
    images : sequence of Image
        Of one contrast, with the same gain.
    backend : Backend
        Where they are wanted.
    masks : sequence of Image or None
        One for each.

    Raises
    ------
    InputError
        When a mask has no voxel inside its image.
    """
    found = [background_value(image.data) for image in images]
    known = [float(one) for one in found if one is not None]
    common = float(np.mean(known)) if known else min(float(_darkest(image.data)) for image in images)
    shifted = [
        _Shifted.of(image, common, own is not None, mask, backend)
        for image, own, mask in zip(images, found, masks, strict=True)
    ]
    ranges = [one.range for one in shifted if one.range is not None]
    return tuple(one.scaled(float(np.mean(ranges)) if ranges else None) for one in shifted)


def value_beyond(image: Image) -> float:
    """The value of what lies around the object of an image, for places that it does not show; mostly 0.

    An image whose darkest values are far from 0, such as CT with air of about -1000, gets its background: the value
    that nearly all voxels of the outer faces have, else their median where that is dark. Only then is it not 0.

    Parameters
    ----------
    image : Image
        Three axes, or four: then the first volume counts.
    """
    data = image.data if image.data.ndim == 3 else image.data[..., 0]
    values = data.ravel()[:: max(1, data.size // _SAMPLE)].astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0
    dark, bright = np.percentile(values, (0.5, 99.5))
    if dark == bright or abs(dark) <= _NEAR_ZERO * (bright - dark):
        return 0.0
    dark = np.percentile(values[values > values.min()], 0.5)  # the smallest may be a padding, below the air of CT
    background = background_value(data)
    middle = float(np.median(outer_faces(data).astype(np.float64)) if background is None else background)
    shown = background is not None or middle - dark <= _DARK_RIM * (bright - dark)
    return middle if shown and np.isfinite(middle) else 0.0


def lies_far_from_zero(image: Image) -> bool:
    """Whether 0 is far below every value of an image, so that places filled with 0 stand out."""
    lowest = float(image.data.min())
    highest = float(image.data.max())
    return highest > lowest > _NEAR_ZERO * (highest - lowest)


def winsorise(
    volume: NDArray[Any], inside: NDArray[np.bool_], quantiles: tuple[float, float]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Bring the darkest and the brightest values of an object to a lower and an upper quantile of it.

    Parameters
    ----------
    volume : (I, J, K)
        The image.
    inside : (I, J, K) bool
        The object; around it values above the upper quantile become it too, and dark ones stay.
    quantiles : (low, high)
        From 0 to 1.

    Returns
    -------
    (I, J, K) float32
        The image with other intensities.
    (low, high)
        The values of the quantiles.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.arange(101.0).reshape(101, 1, 1)
    >>> _, values = winsorise(ramp, ramp >= 0, (0.1, 0.9))
    >>> values
    (10.0, 90.0)
    """
    low, high = (float(value) for value in np.quantile(volume[inside], quantiles))
    clipped = np.minimum(volume, high)
    return np.where(inside, np.maximum(clipped, low), clipped).astype(np.float32), (low, high)


def _normalise(image: Image, backend: Backend, mask: Image | None) -> Normalised:
    background = background_value(image.data)
    shifted = _Shifted.of(image, background, background is not None, mask, backend)
    return shifted.scaled(shifted.range)


@dataclass(frozen=True, eq=False)
class _Shifted:
    """An image without its background, and the range that is to be 1; None where it shows nothing else."""

    image: Image
    volume: Array
    mask: Array | None
    has_background: bool
    range: float | None
    ends: tuple[Shape, Shape]

    @classmethod
    def of(cls, image: Image, background: Any, has_background: bool, mask: Image | None, backend: Backend) -> _Shifted:
        volume = _subtract_background(image, background, backend)
        weights, mask_on_grid = (volume != 0).astype(np.uint8), None
        if mask is not None:
            mask_on_grid = _mask_on(image.grid, mask, backend)
            weights = weights * mask_on_grid
        measured = backend.zeros((10,), np.float64)
        backend.statistics(volume, BRIGHT, mask=weights, out=measured[:4])
        if has_background:
            backend.extent(volume, np.eye(4), out=measured[4:].reshape(2, 3))
        values = backend.download(measured)
        count, _, bright, _ = values[:4]
        ends = np.array([(0, 0, 0), np.subtract(image.grid.shape, 1)], float)
        if has_background and np.isfinite(values[4:]).all():
            ends = values[4:].reshape(2, 3)
        start, stop = (cast(Shape, tuple(int(n) for n in end)) for end in (ends[0], ends[1] + 1))
        return cls(image, volume, mask_on_grid, has_background, float(bright) if count else None, (start, stop))

    def scaled(self, bright: float | None) -> Normalised:
        """With a range of 1, and clipped."""
        image, volume = self.image, self.volume
        if bright is not None:
            volume /= np.float32(bright)
            volume.clip(-CLIPPED, CLIPPED, out=volume)
        return Normalised(image.name, image.grid, volume, self.has_background, *self.ends, self.mask)


def _darkest(data: NDArray[np.generic]) -> Any:
    """The smallest value; where it is an outlier, see `DARK`, that quantile."""
    ranks = int(DARK * data.size), int(BRIGHT * (data.size - 1))
    low, bright = np.partition(data, ranks, axis=None)[list(ranks)]
    lowest = data.min()
    return low if float(low) - float(lowest) > float(bright) - float(low) else lowest


def _subtract_background(image: Image, background: Any, backend: Backend) -> Array:
    """``image - background`` in single precision, on the backend; the darkest value where there is no background."""
    data, there = image.data, image.values_on(backend)
    if background is None:
        background = _darkest(data)
    if np.can_cast(data.dtype, np.float32, "safe"):
        given = backend.upload(np.ascontiguousarray(data, data.dtype.newbyteorder("="))) if there is None else there
        volume = given.astype(np.float32, order="C")  # a copy: what is given may be a tensor of the user
        volume -= np.float32(background)
        return volume
    if there is not None:
        volume = there.astype(np.float64, order="C")
        volume -= np.float64(background)
        return volume.astype(np.float32)
    shifted = np.empty(data.shape, np.float32)
    for plane, given in zip(shifted, data, strict=True):  # the whole of it in double precision would take twice as much
        plane[...] = np.subtract(given, background, dtype=np.float64)
    return backend.upload(shifted)


def _mask_on(grid: Grid, mask: Image, backend: Backend) -> Array:
    """Where a mask is not 0, by nearest neighbour on a grid, uint8."""
    there = mask.values_on(backend)
    chosen: Array = (
        backend.upload(np.ascontiguousarray(mask.data != 0, dtype=np.uint8))
        if there is None
        else (there != 0).astype(np.uint8, order="C")
    )
    if mask.grid != grid:
        chosen = backend.sample(chosen, grid.voxel_map_to(mask.grid), shape=grid.shape, order=0)
    if chosen.size == 0 or not chosen.max():
        raise InputError(f"{mask.name} has no voxel inside its image; it must cover part of the image in world space")
    return chosen
