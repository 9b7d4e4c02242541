"""Whether an image is a map of labels, by what it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.images.image import Image

FEWEST, MOST = 4, 200
"""Different values of a label map, background among them: masks have fewer, grey values more."""

PATCHY = 0.65
"""Share of neighbouring voxels, one of them no background, that have one value. Label maps of brains have 0.7 or more
at 1 mm, grey values of 8 bits 0.22 at most, of 4 bits 0.49."""

_PLANES, _SIDE = 8, 256
"""Planes that are looked at, and voxels of each along either side, in the middle."""

_COARSE = 4
"""Every how many voxels values are counted first: most images have too many there already."""


def looks_like_labels(image: Image) -> bool:
    """Whether a volume holds a few whole numbers in patches, as label maps do and images and masks do not.

    Parameters
    ----------
    image : Image
        One volume, of which some planes are looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.images.label_maps import looks_like_labels
    >>> labels = np.kron(np.arange(16).reshape(4, 4), np.ones((8, 8), np.int16))
    >>> looks_like_labels(Image.from_array(labels)), looks_like_labels(Image.from_array(labels + np.eye(32) / 2))
    (True, False)
    """
    planes = _planes(image.data)
    if planes.dtype.kind == "f" and not np.array_equal(planes, np.rint(planes)):
        return False
    if np.unique(planes[::_COARSE, ::_COARSE]).size > MOST:
        return False
    values, counts = np.unique(planes, return_counts=True)
    return FEWEST <= values.size <= MOST and _patchiness(planes, values[counts.argmax()]) >= PATCHY


def _planes(data: NDArray[Any]) -> NDArray[Any]:
    """Some planes across the shortest axis (I, J, planes), in the middle of a volume."""
    volume = np.moveaxis(data.reshape(data.shape[:3]), int(np.argmin(data.shape[:3])), 2)
    rows, columns = (slice(max(0, (n - _SIDE) // 2), (n + _SIDE) // 2) for n in volume.shape[:2])
    chosen = np.unique(np.linspace(0, volume.shape[2] - 1, _PLANES + 2).astype(int))
    return volume[rows, columns, chosen]


def _patchiness(planes: NDArray[Any], background: Any) -> float:
    """Share of neighbours within planes that have one value, where not both are background."""
    same = pairs = 0
    for axis in (0, 1):
        one, next_one = np.moveaxis(planes, axis, 0)[:-1], np.moveaxis(planes, axis, 0)[1:]
        counted = (one != background) | (next_one != background)
        pairs += int(np.count_nonzero(counted))
        same += int(np.count_nonzero(counted & (one == next_one)))
    return same / pairs if pairs else 0.0
