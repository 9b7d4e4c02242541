"""Missing values: NaN outside the imaged object is background, as SPM and masking tools write it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_propagation

from warpline.images import Image

BACKGROUND = 0.9
"""Share of the outer faces that must be NaN for all of it to be background, holes inside an object included."""


def fill_unknown(image: Image, mask: Image | None = None) -> tuple[Image, str | None]:
    """Replace NaN in the background or outside the mask by a value; without any, the image itself is returned.

    The value is 0, or the lowest one of the image where that is lower. Without a mask, NaN is background where it is
    connected with the outer faces of the grid, and everywhere when the faces have hardly anything else. Other NaN
    stays, and is refused by `warpline.images.checks.check_finite`.

    Parameters
    ----------
    image : Image
        One volume.
    mask : Image, optional
        Not 0 where the image counts, on its grid.

    Returns
    -------
    image, sentence
        A sentence on what was replaced; None when nothing was.
    """
    if image.data.dtype.kind != "f" or image.data.ndim != 3:
        return image, None
    unknown = np.isnan(image.data)
    if not unknown.any() or unknown.all():
        return image, None
    outside = _background(unknown)
    if mask is not None and mask.data.shape == unknown.shape:
        outside |= unknown & (mask.data == 0)
    count = int(np.count_nonzero(outside))
    if not count:
        return image, None
    finite = image.data[np.isfinite(image.data)]
    value = min(0.0, float(finite.min())) if finite.size else 0.0
    filled = replace(image, data=np.where(outside, image.data.dtype.type(value), image.data))
    return filled, f"{image.name}: {count} NaN voxels were taken for background, value {value:g}"


def _background(unknown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """NaN voxels that are connected with the outer faces; all of them when most of the faces are NaN."""
    faces = np.zeros_like(unknown)
    for axis, size in enumerate(unknown.shape):
        if size > 1:
            faces[(slice(None),) * axis + ([0, -1],)] = True
    if unknown[faces].mean() >= BACKGROUND:
        return unknown
    found: NDArray[np.bool_] = binary_propagation(unknown & faces, mask=unknown)
    return found
