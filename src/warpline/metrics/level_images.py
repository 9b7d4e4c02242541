"""An image at a level of deformable registration, before a metric makes features of it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from warpline.backends import Array, Backend
from warpline.backends.descriptors import CHANNELS


class LevelImage(Protocol):
    """An image as given, and how it comes to the grid of a level.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.metrics import LevelImage
    >>> class OnItsOwnGrid:
    ...     volume = np.ones((4, 4, 4), np.float32)
    ...     shape = volume.shape
    ...     def resampled(self, volume, order=3):
    ...         return volume
    >>> side: LevelImage = OnItsOwnGrid()
    >>> side.resampled(side.volume).shape
    (4, 4, 4)
    """

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
    """Both images on the level: the features of metrics that compare grey values.

    Parameters
    ----------
    sides : two LevelImage
        Fixed and moving image.
    backend : Backend
        Where they are.

    Returns
    -------
    (2, I, J, K) float32
        On the grid of the level, on the backend.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.backends import select
    >>> from warpline.metrics import intensities
    >>> class OnItsOwnGrid:
    ...     volume = np.ones((4, 4, 4), np.float32)
    ...     shape = volume.shape
    ...     def resampled(self, volume, order=3):
    ...         return volume
    >>> intensities((OnItsOwnGrid(), OnItsOwnGrid()), select("numpy")).shape
    (2, 4, 4, 4)
    """
    images = backend.empty((2, *sides[0].shape))
    for image, side in zip(images, sides, strict=True):
        image[...] = side.resampled(side.volume)
    return images


def new_descriptors(sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
    """Room for the descriptors (2, I, J, K, 16) of both images on the level."""
    return backend.empty((2, *sides[0].shape, CHANNELS), np.uint8)


def descriptor_forces(descriptors: Array, forces: Array, value: Array, *, mask: Array | None, backend: Backend) -> None:
    """Forces and value of metrics that compare descriptors: `DescriptorOperations.forces` of both sides."""
    fixed, moving = descriptors
    backend.descriptors.forces(fixed, moving, mask=mask, out_fixed=forces[0], out_moving=forces[1], value=value)
