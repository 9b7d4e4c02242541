"""DIPY's mapping files: NIfTI of shape (I, J, K, 3, 2), as ``dipy.align.write_mapping`` writes them.

``[..., 0]`` is DIPY's forward and ``[..., 1]`` its backward field, float32 displacements in mm along R, A, S
on the static (our fixed) grid. Of a map that its SyN made, *backward* takes fixed points to moving points.
The affine of the header is world to voxel, the inverse of every other file's; the prealignment is not stored.
"""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from warpline.errors import InputError
from warpline.io import nifti
from warpline.io.transform_files.format import Format, Head
from warpline.space import Displacement
from warpline.space.grid import Grid, check_affine


def matches(head: Head) -> bool:
    """Whether a file is NIfTI of shape (I, J, K, 3, 2)."""
    return head.shape[3:] == (3, 2)


def read(path: Path) -> Displacement:
    """Read the deformable part of the mapping: `field` is DIPY's backward, `inverse_field` its forward.

    Raises
    ------
    InputError
        When the file is damaged, not of that shape or not of floats, or holds NaN or infinite values.
    """
    stored = nifti.read(path)
    if stored is None or stored.array.shape[3:] != (3, 2) or stored.array.dtype.kind != "f":
        raise InputError(f"{path} is no DIPY mapping; NIfTI of floats and shape (I, J, K, 3, 2) is needed")
    inverse, field = (nifti.c_ordered(np.moveaxis(stored.array[..., n], -1, 0), np.float32) for n in (0, 1))
    if not (np.isfinite(field).all() and np.isfinite(inverse).all()):
        raise InputError(f"{path} has NaN or infinite displacements; write the mapping again")
    grid2world = check_affine(np.linalg.inv(stored.affine), f"{path}: the inverse of the affine of its header")
    return Displacement(field, Grid(field.shape[1:], grid2world), inverse)


def encode(transform: Displacement) -> bytes:
    """The bytes of an uncompressed file, equal to those that DIPY writes for the same fields.

    Raises
    ------
    InputError
        When the inverse field is missing.
    """
    forward = transform.inverse().field
    data = np.stack([np.moveaxis(forward, 0, -1), np.moveaxis(transform.field, 0, -1)], axis=-1)
    content: bytes = nibabel.Nifti1Image(data, transform.grid.inverse_affine).to_bytes()
    return content


FORMAT = Format(
    about="DIPY mapping, both directions in one file (write_mapping)",
    stores="channel 1 fixed to moving, channel 0 back; without the prealignment",
    unit="mm, RAS",
    holds=Displacement,
    suffixes=(".nii", ".nii.gz"),
    matches=matches,
    read=read,
    encode=encode,
    stores_inverse=True,
)
