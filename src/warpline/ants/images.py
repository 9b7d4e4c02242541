"""Images between nibabel and the engine."""

from __future__ import annotations

import os
from typing import Any

import nibabel
import numpy as np

from warpline.image import Image
from warpline.io.images import write_image
from warpline.operations import read


def image_read(filename: str | os.PathLike[str]) -> Any:
    """Read an image file.

    Returns
    -------
    nibabel.Nifti1Image
        Unscaled data keep their type; ANTsPy would make them float32.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    return to_nibabel(read(filename))


def image_write(image: Any, filename: str | os.PathLike[str]) -> None:
    """Write an image as NIfTI, complete or not at all; its data type is kept.

    Parameters
    ----------
    image : nibabel image, Image, path or (array, affine)
        What to write.
    filename : path
        Ends in ``.nii`` or ``.nii.gz``.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    write_image(read(image), filename)


def to_nibabel(image: Image, vectors: bool = False) -> Any:
    """The image as nibabel's, sform and qform set where the affine is no shear; vectors along the fifth axis."""
    data = image.data.astype(np.uint8) if image.data.dtype == bool else image.data
    if vectors:
        data = data[:, :, :, None]
    made = nibabel.Nifti1Image(data, image.affine, dtype=data.dtype)
    if vectors:
        made.header.set_intent("vector")
    made.header.set_xyzt_units("mm", "sec")
    return made
