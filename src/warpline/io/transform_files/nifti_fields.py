"""Vector images in NIfTI: read with checks, and moved between coordinates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io import nifti
from warpline.io.transform_files.format import Head
from warpline.space.grid import Matrix

_AFNI_EXTENSION = 4
AFNI_NOTE = "3dQwarp"
_SPM_NOTE = "eformation"
_SPM_INTENT = "Mapping"


def _is_mapping(head: Head) -> bool:
    """Whether SPM's utilities saved a deformation: places, though with the intent of ITK's displacements."""
    return head.intent_name == _SPM_INTENT and _SPM_NOTE in head.description


SIGNATURES: dict[str, Callable[[Head], bool]] = {
    "itk": lambda head: head.intent in (nifti.INTENT_VECTOR, nifti.INTENT_DISPLACEMENT) and not _is_mapping(head),
    "afni": lambda head: head.extension == _AFNI_EXTENSION or AFNI_NOTE in head.description,
    "spm": lambda head: (head.intent == 0 and _SPM_NOTE in head.description) or _is_mapping(head),
}
"""Tool to the signature of its fields of shape (I, J, K, 1, 3)."""


def may_be_from(tool: str, head: Head) -> bool:
    """Whether a file is a field (I, J, K, 1, 3) with the signature of `tool`, or with none."""
    signed = next((name for name, signs in SIGNATURES.items() if signs(head)), tool)
    return head.shape[3:] == (1, 3) and signed == tool


def read(path: Path, tails: tuple[tuple[int, ...], ...], *, allows_nan: bool = False) -> nifti.StoredArray:
    """Read a file of floats without scaling, whose shape after the third axis is one of `tails`.

    Parameters
    ----------
    path : Path
        The file.
    tails : tuple of shapes
        Such as ``((1, 3),)`` for (I, J, K, 1, 3).
    allows_nan : bool
        Whether NaN is allowed.

    Raises
    ------
    InputError
        When it is damaged, of another shape or type, or holds NaN or infinite values.
    """
    stored = nifti.read(path)
    if stored is None or stored.array.shape[3:] not in tails:
        wanted = " or ".join(f"(I, J, K, {', '.join(map(str, tail))})" for tail in tails)
        raise InputError(f"{path} is no field of this format; NIfTI of shape {wanted} is needed")
    if stored.array.dtype.kind != "f" or nifti.scaling(stored.header, str(path)) not in ((None, None), (1, 0)):
        raise InputError(f"{path} holds {stored.array.dtype} with scaling; an unscaled field of floats is needed")
    if not all(_is_known(stored.array[..., n], allows_nan) for n in range(stored.array.shape[-1])):
        raise InputError(f"{path} has NaN or infinite displacements; write the field again")
    return stored


def _is_known(values: NDArray[np.generic], allows_nan: bool) -> bool:
    """Whether no value is infinite or, without `allows_nan`, NaN; for most fields the sum alone shows it."""
    if np.isfinite(values.sum()):
        return True
    return not (np.isinf(values) if allows_nan else ~np.isfinite(values)).any()


def components_first(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """An array (I, J, K, 3) of a file as a field (3, I, J, K) in C order."""
    return nifti.c_ordered(np.moveaxis(array, -1, 0), np.float32)


def components_last(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """A field (3, I, J, K) as (I, J, K, 3)."""
    return np.moveaxis(field, 0, -1)


def transform_vectors(
    field: NDArray[np.float32], linear: NDArray[np.floating[Any]], ramp: Matrix
) -> NDArray[np.float32]:
    """``linear @ field(v) + ramp @ v`` at every voxel v, in double precision, rounded once.

    Parameters
    ----------
    field : (3, I, J, K) float32
        Vectors.
    linear : (3, 3) or (4, 4)
        What turns them; of a homogeneous matrix its first three rows and columns.
    ramp : (4, 4)
        Homogeneous in the voxel index; its last row is not used.

    Returns
    -------
    (3, I, J, K) float32
    """
    index = np.ix_(*(np.arange(n, dtype=np.float64) for n in field.shape[1:]))
    out = np.empty_like(field)
    for axis in range(3):
        total = sum((ramp[axis, n] * index[n] for n in range(3)), np.float64(ramp[axis, 3]))
        for n in np.flatnonzero(linear[axis, :3]):
            total = total + linear[axis, n] * field[n]
        out[axis] = total
    return out
