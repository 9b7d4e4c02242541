"""What an image must be to be computed with; each refusal names the image and what to do."""

from __future__ import annotations

import numpy as np

from warpline.errors import InputError
from warpline.images.image import Image
from warpline.images.masks import check_reaches, on_grid


def check_one_volume(image: Image) -> None:
    """Refuse a series of volumes."""
    if image.data.ndim != 3:
        count = image.data.shape[3]
        remedy = f"take one of the {count} volumes, or their mean"
        if image.data.shape[0] == 1:
            remedy += f"; of a tensor that begins with its channels, take {image.name}[0]"
        raise InputError(f"{image.name} is 4-D, shape {image.data.shape}; registration needs one volume: {remedy}")


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
    """Refuse a mask that marks nothing of its image; it may lie on any grid."""
    check_one_volume(mask)
    check_finite(mask)
    if not mask.data.any():
        raise InputError(f"{mask.name} is 0 everywhere; mark the voxels to use with another value")
    check_reaches(mask, image)


def check_labels(labels: Image) -> None:
    """Refuse labels that are no whole numbers, or 0 everywhere."""
    check_whole_numbers(labels)
    if not labels.data.any():
        raise InputError(f"{labels.name} is 0 everywhere; give labels other than 0, or none at all")


def check_whole_numbers(labels: Image) -> None:
    """Refuse a series of volumes and values with fractions, NaN and infinity among them."""
    check_one_volume(labels)
    check_finite(labels)
    if labels.data.dtype.kind == "f":
        odd = labels.data[labels.data != np.rint(labels.data)]
        if odd.size:
            raise InputError(f"{labels.name} holds {odd[0]:g}; labels are whole numbers: give a label map")


def check_weights(weights: Image, image: Image) -> None:
    """Refuse weights that are negative, or count nothing of their image; they may lie on any grid."""
    check_one_volume(weights)
    check_finite(weights)
    lowest = weights.data.min()
    if lowest < 0:
        raise InputError(f"{weights.name} has weights down to {lowest:g}; 0, not at all, and above are allowed")
    if not weights.data.any():
        raise InputError(f"{weights.name} is 0 everywhere; give what counts fully the largest value")
    check_reaches(weights, image)


def check_contrast(image: Image, mask: Image | None = None) -> None:
    """Refuse an image of one value, in the mask where there is one."""
    values = image.data if mask is None else image.data[on_grid(mask, image.grid).data != 0]
    if values.min() == values.max():
        where = "everywhere" if mask is None else f"everywhere inside {mask.name}"
        raise InputError(f"{image.name} is constant: {values.flat[0]} {where}; an image with contrast is needed")
