"""AFNI's displacement fields, as 3dQwarp writes them: NIfTI of shape (I, J, K, 1, 3) with AFNI's extension.

Displacements in LPS mm on the fixed (base) grid, between the grids as AFNI sees them (`afni_space`), so that the
geometry of the moving image (source) is needed. AFNI's own container (.HEAD, .BRIK) is not read: save as NIfTI.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpline.io import nifti
from warpline.io.lps import flip_components
from warpline.io.transform_files import afni_space, nifti_fields
from warpline.io.transform_files.format import Format, Grids, Head
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.grid import Grid

_REASON = "AFNI's fields count from grids without obliquity"


def matches(head: Head) -> bool:
    """Whether a file is a field with AFNI's extension, or that no tool has signed."""
    return nifti_fields.may_be_from("afni", head)


def read(path: Path, grids: Grids) -> Transform:
    """Read the field: fixed world to moving world, a chain with an affine where a grid is oblique.

    Raises
    ------
    InputError
        When the file is damaged or of another kind, or the grid of the moving image is missing.
    """
    stored = nifti_fields.read(path, ((1, 3),))
    field = flip_components(nifti_fields.components_first(stored.array[:, :, :, 0]))
    fixed = Grid(field.shape[1:], stored.affine)
    moving = grids.need_moving(f"{path}: {_REASON}")
    leave, arrive = afni_space.from_world(fixed), afni_space.from_world(moving)
    turned = nifti_fields.transform_vectors(field, np.linalg.inv(leave), np.zeros((4, 4)))
    return Chain((Displacement(turned, fixed), Affine(np.linalg.inv(arrive) @ leave))).simplified()


def encode(transform: Displacement, grids: Grids) -> bytes:
    """The bytes of an uncompressed file that 3dNwarpApply takes.

    Raises
    ------
    InputError
        When the grid of the moving image is missing.
    """
    moving = grids.need_moving(_REASON)
    leave, arrive = afni_space.from_world(transform.grid), afni_space.from_world(moving)
    field = nifti_fields.transform_vectors(transform.field, arrive, (arrive - leave) @ transform.grid.affine)
    data = nifti_fields.components_last(flip_components(field))[:, :, :, None]
    return nifti.encode(data, transform.grid.affine, description=f"AFNI {nifti_fields.AFNI_NOTE}")


FORMAT = Format(
    about="AFNI displacement field in NIfTI (3dQwarp)",
    stores="fixed (base) to moving (source)",
    unit="mm, LPS, without obliquity",
    holds=Displacement,
    suffixes=(".nii", ".nii.gz"),
    matches=matches,
    read=read,
    encode=encode,
    needs_grids=True,
)
