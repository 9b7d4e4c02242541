"""An image at a level of deformable registration, before a metric makes features of it."""

from __future__ import annotations

from typing import Protocol

from warpline.backends import Array, Backend


class LevelImage(Protocol):
    """An image as given, and how it comes to the grid of a level."""

    @property
    def volume(self) -> Array:
        """The image on a grid of its own, on the backend; nobody may write to it."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid of the level."""
        ...

    def resampled(self, volume: Array, order: int = 3) -> Array:
        """A float32 volume on the grid of the image, smoothed and resampled on the level (I, J, K), by splines."""
        ...


def intensities(sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
    """Both images on the level (2, I, J, K): the features of metrics that compare grey values."""
    images = backend.empty((2, *sides[0].shape))
    for image, side in zip(images, sides, strict=True):
        image[...] = side.resampled(side.volume)
    return images
