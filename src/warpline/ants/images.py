"""Images between nibabel and the engine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.operations import read

PIXELTYPES: dict[str, np.dtype[Any]] = {
    "unsigned char": np.dtype(np.uint8),
    "unsigned int": np.dtype(np.uint32),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}
"""ANTsPy's names of types of values."""


def image_read(
    filename: str | os.PathLike[str],
    dimension: int | None = None,
    pixeltype: str | None = None,
    reorient: bool = False,
) -> Any:
    """Read an image file.

    Parameters
    ----------
    filename : path
        The file.
    dimension : {2, 3, 4}, optional
        Axes that the image must have; of a 2-D image, 3 gives a volume of one slice.
    pixeltype : str, optional
        A key of `PIXELTYPES`; when None, unscaled data keep their type. ANTsPy's default is "float".
    reorient : {False}
        Axes stay as they are in the file; another orientation is not offered.

    Returns
    -------
    nibabel.Nifti1Image
        The image.

    Raises
    ------
    InputError
        When the file cannot be read, has other axes, or values that `pixeltype` cannot hold.
    UsageError
        When an argument is not offered.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> ants.image_write((np.zeros((4, 5, 6), np.uint8), np.eye(4)), "zeros.nii.gz")
    >>> ants.image_read("zeros.nii.gz", pixeltype="float").shape
    (4, 5, 6)
    """
    if reorient:
        raise UsageError("reorient is not offered; leave it out, and use nibabel.as_closest_canonical on the result")
    if pixeltype is not None and pixeltype not in PIXELTYPES:
        raise UsageError(f"pixeltype is {pixeltype!r}; choose from {', '.join(PIXELTYPES)}, or None")
    found = read(Path(filename).expanduser())
    if dimension is not None:
        found = _with_axes(found, dimension)
    return to_nibabel(found if pixeltype is None else _with_type(found, PIXELTYPES[pixeltype]))


def image_write(image: Any, filename: str | os.PathLike[str], ri: bool = False) -> Any:
    """Write an image as NIfTI, NRRD or MetaImage, complete or not at all; its data type is kept.

    Parameters
    ----------
    image : nibabel image, Image, path or (array, affine)
        What to write.
    filename : path
        Ends in ``.nii``, ``.nii.gz`` or another name that `warpline.write_image` takes.
    ri : bool
        Return the image; else None.

    Raises
    ------
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> ants.image_write((np.zeros((4, 5, 6), np.uint8), np.eye(4)), "zeros.nii.gz")
    """
    write_image(read(image), Path(filename).expanduser())
    return image if ri else None


def _with_axes(image: Image, dimension: int) -> Image:
    own = 2 if image.grid.flat else image.data.ndim
    if dimension == own:
        return image
    if (own, dimension) == (2, 3):
        return replace(image, grid=replace(image.grid, flat=False))
    raise InputError(f"{image.name} has {own} axes, and dimension is {dimension}; leave it out, or give {own}")


def _with_type(image: Image, kind: np.dtype[Any]) -> Image:
    """Values as ITK casts them, without fractions where the type has none; those beyond its range are refused."""
    if kind.kind in "iu":
        limits, (low, high) = np.iinfo(kind), (float(image.data.min()), float(image.data.max()))
        if not (limits.min - 1 < low and high < limits.max + 1):
            raise InputError(
                f"{image.name} holds values from {low:g} to {high:g}; {kind} holds {limits.min} to {limits.max}: "
                "choose another pixeltype"
            )
    return replace(image, data=image.data.astype(kind))


def to_nibabel(image: Image, vectors: bool = False) -> Any:
    """The image as nibabel's: two axes where it is 2-D, vectors along the fifth; sform and qform set where it may."""
    data = image.data.astype(np.uint8) if image.data.dtype == bool else image.data
    if vectors:
        data = data[:, :, :, None]
    elif image.grid.flat and data.ndim == 3:
        data = data[:, :, 0]
    made = nibabel.Nifti1Image(data, image.affine, dtype=data.dtype)
    if vectors:
        made.header.set_intent("vector")
    made.header.set_xyzt_units("mm", "sec")
    return made
