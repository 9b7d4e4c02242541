"""ITK displacement fields: NIfTI of shape (I, J, K, 1, 3), as ANTs and Greedy write them (``1Warp.nii.gz``).

Float32 displacements in mm on the fixed grid, mapping ``x -> x + u(x)``. With intent 1007 (vector) the
components are along L, P, S; with intent 1006 (displacement vector) ITK takes them along R, A, S. ITK does
not see a field without either intent. The inverse map is a second file of the same kind. A 2-D field is
(I, J, 1, 1, 2), and leaves the third axis as it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError, UsageError
from warpline.io import nifti
from warpline.io.header_notes import TOLERANCE, PlacementDistance
from warpline.io.lps import SIGNS, flip_components
from warpline.io.nifti_geometry import ITK, TOOLS
from warpline.io.transform_files import nifti_fields
from warpline.io.transform_files.format import Format, Head
from warpline.space import Displacement
from warpline.space.grid import Grid, lies_in_plane

_SIGNS = {nifti.INTENT_VECTOR: SIGNS, nifti.INTENT_DISPLACEMENT: np.ones(3)}
_TAILS = ((1, 3), (1, 2))


def matches(head: Head) -> bool:
    """Whether a file is a field in 3-D that no other tool has signed."""
    return nifti_fields.may_be_from("itk", head)


def matches_flat(head: Head) -> bool:
    """Whether a file is a field in 2-D with ITK's intents."""
    return head.shape[2:] == (1, 1, 2) and head.intent in _SIGNS


def read(path: Path) -> Displacement:
    """Read the field, components along R, A, S, without an inverse.

    Raises
    ------
    InputError
        When the file is damaged, has no vector intent, is not float, or holds NaN or infinite values.
    """
    stored = nifti_fields.read(path, _TAILS)
    intent = int(stored.header["intent_code"])
    if intent not in _SIGNS:
        raise InputError(
            f"{path} has NIfTI intent {intent}; a displacement field needs 1007 (components along L, P, S) "
            f"or 1006 (along R, A, S): set the intent_code that fits the file"
        )
    field = nifti_fields.components_first(_three(stored.array[:, :, :, 0]))
    for axis in np.flatnonzero(_SIGNS[intent] < 0):
        np.negative(field[axis], out=field[axis])
    flat = stored.array.shape[2:] == (1, 1, 2) and lies_in_plane(stored.affine)
    return Displacement(field, replace(_grid(stored), flat=flat))


def encode(transform: Displacement) -> bytes:
    """The bytes of an uncompressed file with the forward field, intent 1007."""
    lps = flip_components(transform.field)
    data = nifti_fields.components_last(lps)[:, :, :, None]
    return nifti.encode(data, transform.grid.affine, intent=nifti.INTENT_VECTOR)


def encode_flat(transform: Displacement) -> bytes:
    """The bytes of an uncompressed file in 2-D, intent 1007.

    Raises
    ------
    UsageError
        When the field is thicker than a slice, or leaves it.
    """
    check_flat(transform)
    lps = flip_components(transform.field)[:2]
    data = np.moveaxis(lps, 0, -1)[:, :, :, None]
    return nifti.encode(data, transform.grid.affine, intent=nifti.INTENT_VECTOR)


def _grid(stored: nifti.StoredArray) -> Grid:
    """Where ITK sees the field, which need not be where nibabel does; where ITK refuses it, as read."""
    affine = TOOLS[ITK](stored.place).matrix
    if affine is None or PlacementDistance.between(stored.affine, affine, stored.grid.shape).voxels <= TOLERANCE:
        return stored.grid
    return Grid(stored.grid.shape, affine)


def check_flat(transform: Displacement) -> None:
    """Refuse a field that files of 2-D images cannot hold.

    Raises
    ------
    UsageError
        When it is thicker than a slice, leaves it, or the slice does not lie in the plane of world x and y.
    """
    grid = transform.grid
    if grid.shape[2] != 1 or not lies_in_plane(grid.affine) or transform.field[2].any():
        raise UsageError(
            f"a field on {grid.shape} voxels does not fit a 2-D file; one slice in the plane of world x and y and "
            "vectors in it do"
        )


def _three(array: NDArray[np.generic]) -> NDArray[np.generic]:
    if array.shape[-1] == 3:
        return array
    return np.concatenate([array, np.zeros_like(array[..., :1])], axis=-1)


FORMAT = Format(
    about="displacement field in NIfTI with intent 1007 or 1006 (ANTs and Greedy warps)",
    stores="fixed to moving",
    unit="mm, LPS (intent 1006: RAS)",
    holds=Displacement,
    suffixes=(".nii", ".nii.gz"),
    matches=matches,
    read=read,
    encode=encode,
)
FLAT = replace(
    FORMAT,
    about="displacement field in NIfTI in 2-D, (I, J, 1, 1, 2)",
    matches=matches_flat,
    encode=encode_flat,
    flat=True,
)
