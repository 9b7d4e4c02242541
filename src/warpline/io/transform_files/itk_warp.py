"""ITK displacement fields: NIfTI of shape (I, J, K, 1, 3), as ANTs writes them (``1Warp.nii.gz``).

Float32 displacements in mm on the fixed grid, mapping ``x -> x + u(x)``. With intent 1007 (vector) the
components are along L, P, S; with intent 1006 (displacement vector) ITK takes them along R, A, S. ITK does
not see a field without either intent. The inverse map is a second file of the same kind.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpline.errors import InputError
from warpline.geometry import Grid
from warpline.io import nifti
from warpline.transforms import Displacement

_SIGNS = {
    nifti.INTENT_VECTOR: np.array((-1, -1, 1), np.float32),
    nifti.INTENT_DISPLACEMENT: np.array((1, 1, 1), np.float32),
}


def matches(head: bytes) -> bool:
    """Whether a file that begins so is NIfTI of shape (I, J, K, 1, 3), of any intent."""
    header = nifti.parse_header(head, "the file")
    return header is not None and header.get_data_shape()[3:] == (1, 3)


def read(path: Path) -> Displacement:
    """Read the field, components along R, A, S, without an inverse.

    Raises
    ------
    InputError
        When the file is damaged, has no vector intent, is not float, or holds NaN or infinite values.
    """
    stored = nifti.read(path)
    if stored is None or stored.array.shape[3:] != (1, 3):
        raise InputError(f"{path} is no displacement field; NIfTI of shape (I, J, K, 1, 3) is needed")
    intent = int(stored.header["intent_code"])
    if intent not in _SIGNS:
        raise InputError(
            f"{path} has NIfTI intent {intent}; a displacement field needs 1007 (components along L, P, S) "
            f"or 1006 (along R, A, S): set the intent_code that fits the file"
        )
    if stored.array.dtype.kind != "f" or stored.header.get_slope_inter() not in ((None, None), (1, 0)):
        raise InputError(f"{path} holds {stored.array.dtype} with scaling; an unscaled field of floats is needed")
    field = nifti.c_ordered(np.moveaxis(stored.array[:, :, :, 0], -1, 0), np.float32)
    if not np.isfinite(field).all():
        raise InputError(f"{path} has NaN or infinite displacements; write the field again")
    field *= _SIGNS[intent][:, None, None, None]
    return Displacement(field, Grid(field.shape[1:], stored.affine))


def encode(transform: Displacement) -> bytes:
    """The bytes of an uncompressed file with the forward field, intent 1007."""
    lps = transform.field * _SIGNS[nifti.INTENT_VECTOR][:, None, None, None]
    return nifti.encode(np.moveaxis(lps, 0, -1)[:, :, :, None], transform.grid.affine, intent=nifti.INTENT_VECTOR)
