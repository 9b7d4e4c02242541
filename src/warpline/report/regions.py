"""Where two images are compared: the object for images of many values, object and surroundings for those of few.

Within the object a mask, or any image of one value, has nothing to correlate: it differs from its surroundings only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from warpline.images.image import Image

RADIUS = 2
"""Of the small windows, in voxels."""

_MARGIN = 0.25
"""Share of the sides of the box around the object by which it is widened."""

_SAMPLE = 2**17
_FEW = 32
"""Values that an image of labels has at most, among a sample of its object."""

_PLATEAU = 0.5
"""Share of the object that has one value, from which on an image is taken for a mask with soft edges."""


def of_few_values(image: Image) -> bool:
    """Whether an image is a mask or labels, told by the values of its object."""
    step = max(1, image.data.size // _SAMPLE)
    values = image.data.ravel()[::step]
    inside = values[values > image.data.min()]
    counts = np.unique(inside, return_counts=True)[1]
    return bool(counts.size <= _FEW or counts.max() >= _PLATEAU * inside.size)


def surroundings(image: Image) -> Image:
    """The box around the object, a quarter wider on each side, as a mask on the image's grid."""
    inside = image.data > image.data.min()
    box = np.zeros(image.grid.shape, bool)
    spans = []
    for axis in range(3):
        found = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
        low, high = (found[0], found[-1] + 1) if found.size else (0, inside.shape[axis])
        margin = max(2, int(_MARGIN * (high - low)))
        spans.append(slice(max(low - margin, 0), high + margin))
    box[tuple(spans)] = True
    return Image(box, image.grid, f"the surroundings of {image.name}")


def edges(image: Image, region: Image) -> Image:
    """Where in a region the small windows of an image hold more than one value; the whole region where none does."""
    size = [min(2 * RADIUS + 1, n) for n in image.grid.shape]
    data: NDArray[np.float64] = image.data.astype(np.float64)
    varied = (maximum_filter(data, size, mode="nearest") != minimum_filter(data, size, mode="nearest")) & region.data
    return Image(varied if varied.any() else region.data, image.grid, f"the edges of {image.name}")
