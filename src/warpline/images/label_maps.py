"""Whether an image is a map of labels, by what it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.images.image import Image

FEWEST, MOST = 4, 200
"""Different values of a label map, background among them: masks have fewer, grey values more."""

PATCHY = 0.65
"""Share of neighbouring voxels, one of them no background, that have one value: label maps of brains have 0.69 or more
at 1 mm. Smooth images may have it too, and their other neighbours lie one value apart."""

FEW = 10
"""Most values of a map of tissues, which may follow each other as grey values do: so patchy, it counts as labels."""

LEAST_EQUAL, MOST_STEPS, MOST_RISING = 0.3, 0.6, 0.45
"""What tells more labels in coarse voxels: share of neighbours that are equal at least, and at most, of those that are
not, share that lie one value apart, and of three patches in a row, share that rise or fall throughout.

Labels of brains: 0.40 at 3 mm and 0.34 at 4 mm at least; steps of 0.06, and of 0.42 where few
regions are numbered as they lie; 0.40 rising at most. Grey values of 8 bits: 0.28 equal at most, or smooth, and 0.65
rising at least. Those of 4 bits: 0.38 to 0.5 equal and steps of 0.6 at least."""

_PLANES, _SIDE = 8, 256
"""Planes that are looked at, and voxels of each along either side, in the middle."""

_COARSE = 4
"""Every how many voxels values are counted first: most images have too many there already."""


def looks_like_labels(image: Image) -> bool:
    """Whether a volume holds some whole numbers in patches, as label maps do and images and masks do not.

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
    values, ranks, counts = np.unique(planes, return_inverse=True, return_counts=True)
    if not FEWEST <= values.size <= MOST:
        return False
    ranks, background = ranks.reshape(planes.shape), int(counts.argmax())
    equal, steps = _neighbours(ranks, background)
    if values.size <= FEW:
        return equal >= PATCHY
    if equal < LEAST_EQUAL or steps > MOST_STEPS:
        return False
    return equal >= PATCHY or _rising(ranks, background) <= MOST_RISING


def _planes(data: NDArray[Any]) -> NDArray[Any]:
    """Some planes across the shortest axis (I, J, planes), in the middle of a volume."""
    volume = np.moveaxis(data.reshape(data.shape[:3]), int(np.argmin(data.shape[:3])), 2)
    rows, columns = (slice(max(0, (n - _SIDE) // 2), (n + _SIDE) // 2) for n in volume.shape[:2])
    chosen = np.unique(np.linspace(0, volume.shape[2] - 1, _PLANES + 2).astype(int))
    return volume[rows, columns, chosen]


def _neighbours(ranks: NDArray[np.int64], background: int) -> tuple[float, float]:
    """Share of neighbours within planes that are equal, and of the others that lie one value apart.

    Ranks count values from the smallest on. Where both are background, nothing counts.
    """
    gaps = []
    for axis in (0, 1):
        one, next_one = np.moveaxis(ranks, axis, 0)[:-1], np.moveaxis(ranks, axis, 0)[1:]
        gaps.append(np.abs(next_one - one)[(one != background) | (next_one != background)])
    sizes = np.concatenate(gaps)
    equal, steps = (int(np.count_nonzero(sizes == gap)) for gap in (0, 1))
    return equal / max(sizes.size, 1), steps / max(sizes.size - equal, 1)


def _rising(ranks: NDArray[np.int64], background: int) -> float:
    """Share of three patches in a row, along both axes and beside no background, that rise or fall throughout."""
    rising = rows = 0
    for axis in (0, 1):
        line = np.moveaxis(ranks, axis, -1).ravel()
        patches = line[np.append(True, line[1:] != line[:-1])]
        first, middle, last = patches[:-2], patches[1:-1], patches[2:]
        counted = (first != background) & (middle != background) & (last != background)
        rows += int(np.count_nonzero(counted))
        rising += int(np.count_nonzero(counted & ((first < middle) == (middle < last))))
    return rising / max(rows, 1)
