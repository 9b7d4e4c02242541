"""SPM's deformation fields (``y_*.nii``, ``iy_*.nii``): NIfTI of shape (I, J, K, 1, 3), float32.

They hold not displacements but positions: for each voxel of the file's grid, its position in the other
image, RAS mm. ``y_`` lies on the template and leads to the native image, ``iy_`` the other way round; both pull
onto their own grid. SPM's description of the file says *Deformation* or *Inverse Deformation*. Segmentation sets
no intent; the Deformations utility sets that of vectors, as ITK's displacements have it, under the name *Mapping*.
Beyond the field of view they may be NaN, and stay so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

from warpline.errors import InputError
from warpline.io import nifti
from warpline.io.transform_files import nifti_fields
from warpline.io.transform_files.format import Format, Head
from warpline.space import Displacement
from warpline.space.grid import Grid

_FLOW = "low field"


def matches(head: Head) -> bool:
    """Whether a file is a field that SPM's description marks, or that no tool has signed."""
    return nifti_fields.may_be_from("spm", head)


def read(path: Path) -> Displacement:
    """Read the places as displacements: points of the file's grid to the other image.

    Raises
    ------
    InputError
        When the file is damaged, of another kind, NaN everywhere, or a flow field (``u_*.nii``).
    """
    stored = nifti_fields.read(path, ((1, 3),), allows_nan=True)
    if _FLOW in _description(stored.header):
        raise InputError(f"{path} is a flow field, not a deformation; export it from SPM as a deformation (y_*.nii)")
    places = nifti_fields.components_first(stored.array[:, :, :, 0])
    if np.isnan(places).all():
        raise InputError(f"{path} is NaN everywhere; write the deformation again")
    field = nifti_fields.transform_vectors(places, np.eye(3), -stored.affine)
    return Displacement(field, Grid(field.shape[1:], stored.affine))


def encode(transform: Displacement) -> bytes:
    """The bytes of an uncompressed file."""
    places = nifti_fields.transform_vectors(transform.field, np.eye(3), transform.grid.affine)
    data = nifti_fields.components_last(places)[:, :, :, None]
    return nifti.encode(data, transform.grid.affine, description="Deformation")


def _description(header: Nifti1Header) -> str:
    return bytes(header["descrip"].item()).decode("latin-1")


FORMAT = Format(
    about="SPM deformation field (y_*.nii, iy_*.nii)",
    stores="places in the other image, for the voxels of the file's own grid",
    unit="mm, RAS",
    holds=Displacement,
    suffixes=(".nii", ".nii.gz"),
    matches=matches,
    read=read,
    encode=encode,
    allows_nan=True,
)
