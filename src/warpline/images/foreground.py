"""What an image shows: its background value, and the foreground that measures, pictures and levels have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array
from warpline.images.image import Image

BACKGROUND_SHARE = 0.9
"""Share of the voxels of the outer faces that must have one value for it to be the background.

Higher, an object that touches a face leaves none; lower, a saturated object is taken for background."""

THRESHOLD = 0.1
"""Threshold of the foreground, as a share of the range from the 1st to the 99.9th percentile.

Lower, the noise of raw heads counts as object; higher, dark tissue is lost."""

LEVEL_THRESHOLD = 1e-3
"""The same on a level of a pyramid, as a share of its range; higher, blurred edges of the object are lost."""

LEVEL_BACKGROUND = 0.1
"""Share of a level that must lie below that for it to have a background; else all of it is foreground."""

_SAMPLES = 64
"""Voxels along each axis from which percentiles are taken: more take longer, fewer miss small objects."""


def background_value(data: NDArray[np.generic]) -> Any:
    """The value that nearly all voxels of the outer faces of a volume (I, J, K) have; None where there is none."""
    faces = outer_faces(data)
    middle = np.partition(faces, faces.size // 2)[faces.size // 2]  # what more than half of them have is the median
    return middle if np.count_nonzero(faces == middle) >= BACKGROUND_SHARE * faces.size else None


def outer_faces(data: NDArray[np.generic]) -> NDArray[np.generic]:
    """The voxels of the outer faces of a volume (I, J, K); axes of one voxel have none."""
    several = [axis for axis in range(3) if data.shape[axis] > 1]
    return np.concatenate([np.take(data, (0, -1), axis=axis).ravel() for axis in several] or [data.ravel()])


def subsample(data: NDArray[np.generic]) -> NDArray[np.float32]:
    """Every n-th voxel along each axis, about 64 of them."""
    steps = tuple(slice(None, None, max(1, n // _SAMPLES)) for n in data.shape)
    return np.asarray(data[steps], dtype=np.float32)


def foreground_threshold(image: Image) -> float:
    """The value above which a voxel is foreground: a tenth of the range from the 1st to the 99.9th percentile."""
    black, white = np.percentile(subsample(image.data), (1, 99.9))
    return float(black + THRESHOLD * (white - black))


def foreground_mask(image: Image) -> NDArray[np.bool_]:
    """Where an image shows its object, (I, J, K): the voxels above `foreground_threshold`.

    Examples
    --------
    >>> import numpy as np
    >>> volume = np.zeros((4, 4, 1))
    >>> volume[1:3, 1:3] = 100
    >>> int(foreground_mask(Image.from_array(volume)).sum())
    4
    """
    bright: NDArray[np.bool_] = np.greater(image.data, foreground_threshold(image))
    return bright


def above_lowest(image: Image) -> NDArray[np.bool_]:
    """Voxels above the lowest value of an image, (I, J, K): all of a mask or of labels, and all of any object."""
    inside: NDArray[np.bool_] = image.data > image.data.min()
    return inside


def level_foreground(volume: Array, inside: Array, low: Array, high: Array) -> Array:
    """Foreground of a level, on its backend: voxels that differ from a constant background of lowest value.

    Parameters
    ----------
    volume : (I, J, K) float32
        The level.
    inside : (I, J, K) bool
        Voxels within its mask; all others are background.
    low, high : 0-d float64
        Range of the values inside.

    Returns
    -------
    (I, J, K) bool
        All of `inside` where the level has no such background.
    """
    bright = (volume > (low + LEVEL_THRESHOLD * (high - low)).astype(np.float32)) & inside
    count, size = (voxels.sum(dtype=np.float64) for voxels in (bright, inside))
    return np.where((count > 0) & (count <= (1 - LEVEL_BACKGROUND) * size), bright, inside)
