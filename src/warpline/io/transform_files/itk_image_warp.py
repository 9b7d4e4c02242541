"""Displacement fields in NRRD and MetaImage, as Slicer, elastix and SimpleITK write them.

Displacements in mm along L, P, S on the fixed grid, mapping ``x -> x + u(x)``; those of 2-D images have two components,
along L and P. They are read and written by ITK, see `warpline.io.itk_images`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from warpline.errors import InputError
from warpline.images import Image
from warpline.io import itk_headers, itk_images
from warpline.io.lps import flip_components
from warpline.io.transform_files import itk_fields
from warpline.io.transform_files.format import Format, Head
from warpline.space import Displacement
from warpline.space.grid import Grid, lies_in_plane


def matches(head: Head, *, nrrd: bool) -> bool:
    """Whether a file is NRRD, or else MetaImage, and says that it holds vectors."""
    itself = itk_headers.is_nrrd(head.content) if nrrd else itk_headers.is_metaimage(head.content)
    return itself and itk_images.holds_vectors(head.path)


def read(path: Path) -> Displacement:
    """Read the field, components along R, A, S, without an inverse.

    Raises
    ------
    InputError
        When the file is damaged, has not as many components as axes, or holds NaN or infinite values.
    """
    stored = itk_images.read(path)
    array = stored.array
    if array.ndim != 4 or array.shape[3] not in (2, 3) or (array.shape[3] == 2) != (array.shape[2] == 1):
        raise InputError(f"{path} is of shape {array.shape}; a field needs as many components as it has axes, 2 or 3")
    flat = array.shape[3] == 2 and lies_in_plane(stored.affine)
    field = itk_fields.components([array[..., axis] for axis in range(array.shape[3])], path)
    return Displacement(field, Grid(array.shape[:3], stored.affine, flat))


def encode(transform: Displacement, *, suffix: str) -> bytes:
    """The bytes of a file with the forward field, of one with two components where it is that of 2-D images."""
    count = 2 if transform.flat else 3
    lps = np.moveaxis(flip_components(transform.field), 0, -1)[..., :count]
    name = f"field{suffix}"
    return itk_images.encode(Image(lps, transform.grid), name, vectors=True)[name]


NRRD = Format(
    about="displacement field in NRRD (Slicer, SimpleITK)",
    stores="fixed to moving",
    unit="mm, LPS",
    holds=Displacement,
    suffixes=(".nrrd",),
    matches=partial(matches, nrrd=True),
    read=read,
    encode=partial(encode, suffix=".nrrd"),
)
META = replace(
    NRRD,
    about="displacement field in MetaImage (elastix, SimpleITK)",
    suffixes=(".mha",),
    matches=partial(matches, nrrd=False),
    encode=partial(encode, suffix=".mha"),
)
