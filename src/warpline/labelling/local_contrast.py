"""Intensities of scans of unlike brightness, contrast and shading, made comparable place by place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, uniform_filter

from warpline.labelling.candidates import Floats
from warpline.space.grid import Shape

SHARE = 1 / 3
"""Side of the box, as a share of the extent of what is labelled: larger, shading remains; smaller, contrast is lost."""
LEAST = 11
"""Least side of the box, in voxels."""
NOISE = 0.1
"""Added to the standard deviation in a box, as a share of that where labels are open: else noise in the dark grows."""


def box_around(open_places: NDArray[np.bool_]) -> Shape:
    """Sides of the box, in voxels, odd; 1 along an axis of a single voxel."""
    (extent,) = find_objects(open_places.astype(np.uint8))
    first, second, third = (
        max(2 * round(SHARE * (along.stop - along.start) / 2) + 1, LEAST) if length > 1 else 1
        for along, length in zip(extent, open_places.shape, strict=True)
    )
    return first, second, third


def local_contrast(volume: Floats, open_places: NDArray[np.bool_], box: Shape) -> Floats:
    """Deviation of every voxel from the mean of the box around it, in standard deviations of the box.

    Parameters
    ----------
    volume : (I, J, K) float32
        An image.
    open_places : (I, J, K) bool
        Where noise is judged, see `NOISE`.
    box : (3,) int
        Its sides, in voxels.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.local_contrast import local_contrast
    >>> image = np.random.default_rng(0).random((9, 9, 9), dtype=np.float32)
    >>> everywhere = np.ones(image.shape, bool)
    >>> first, second = (local_contrast(one, everywhere, (5, 5, 5)) for one in (image, 40 * image + 7))
    >>> bool(np.allclose(first, second, atol=1e-4))
    True
    """
    centred = volume - volume.mean(dtype=np.float64)  # float64, and sums of squares keep their digits
    mean = uniform_filter(centred, box, mode="nearest")
    square = uniform_filter(centred**2, box, mode="nearest")
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    noise = NOISE * float(centred[open_places].std()) + np.finfo(np.float32).tiny
    return np.asarray((centred - mean) / (deviation + noise), dtype=np.float32)
