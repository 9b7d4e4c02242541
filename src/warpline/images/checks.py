"""What an image must be to be computed with; each refusal names the image and what to do."""

from __future__ import annotations

import numpy as np

from warpline.errors import InputError
from warpline.images.image import Image


def check_one_volume(image: Image) -> None:
    """Refuse a series of volumes."""
    if image.data.ndim != 3:
        raise InputError(
            f"{image.name} is 4-D, shape {image.data.shape}; registration needs one volume: "
            f"take one of the {image.data.shape[3]} volumes, or their mean"
        )


def check_finite(image: Image) -> None:
    """Refuse NaN and infinite values, naming how many there are and the first voxel that has one."""
    if image.data.dtype.kind != "f":
        return
    finite = np.isfinite(image.data)
    if finite.all():
        return
    count = finite.size - np.count_nonzero(finite)
    first = tuple(int(i) for i in np.unravel_index(np.argmin(finite), finite.shape))
    raise InputError(
        f"{image.name} has {count} NaN or infinite {'value' if count == 1 else 'values'}, the first at voxel {first}; "
        f"replace them, for example with numpy.nan_to_num"
    )


def check_mask(mask: Image, image: Image) -> None:
    """Refuse a mask that is empty or does not lie on the grid of its image."""
    check_one_volume(mask)
    check_finite(mask)
    if mask.grid != image.grid:
        raise InputError(
            f"{mask.name} (shape {mask.grid.shape}) does not lie on the grid of {image.name} "
            f"(shape {image.grid.shape}): shape and affine must agree; resample the mask with order 0"
        )
    if not mask.data.any():
        raise InputError(f"{mask.name} is 0 everywhere; mark the voxels to use with another value")


def check_contrast(image: Image, mask: Image | None = None) -> None:
    """Refuse an image of one value, in the mask where there is one."""
    values = image.data if mask is None else image.data[mask.data != 0]
    if values.min() == values.max():
        where = "everywhere" if mask is None else f"everywhere inside {mask.name}"
        raise InputError(f"{image.name} is constant: {values.flat[0]} {where}; an image with contrast is needed")
