"""AFNI's affines (``.aff12.1D``): twelve numbers in a line, a 3x4 matrix by rows, fixed (base) to moving (source).

In LPS mm of the grids as AFNI sees them (`afni_space`), so that the geometry of both images is needed. A file of
several lines is a series, one line per volume.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpline.errors import InputError
from warpline.io.lps import LPS
from warpline.io.transform_files import afni_space, numbers
from warpline.io.transform_files.format import Format, Grids, Head, read_text
from warpline.space import Affine

_REASON = "AFNI's matrices count from grids without obliquity"


def matches(head: Head) -> bool:
    """Whether a file has lines of twelve numbers."""
    try:
        found = numbers.rows(head.text)
    except ValueError:
        return False
    return bool(found) and {len(row) for row in found} == {12}


def read(path: Path, grids: Grids) -> Affine:
    """Read the matrix, fixed world to moving world in RAS+ mm.

    Raises
    ------
    InputError
        When the file has not one line of twelve numbers, they are singular or not finite, or a grid is missing.
    """
    try:
        found = numbers.rows(read_text(path))
    except ValueError as error:
        raise InputError(f"{path} is no AFNI matrix ({error}); lines of twelve numbers are needed") from None
    if {len(row) for row in found} != {12}:
        raise InputError(f"{path} is no AFNI matrix; one line of twelve numbers is needed")
    if len(found) > 1:
        raise InputError(f"{path} holds {len(found)} matrices, one per volume; write the line you need to its own file")
    stored = np.vstack([np.reshape(found[0], (3, 4)), (0, 0, 0, 1)])
    fixed, moving = grids.need_both(f"{path}: {_REASON}")
    leave, arrive = afni_space.from_world(fixed), afni_space.from_world(moving)
    return numbers.affine(np.linalg.inv(arrive) @ LPS @ stored @ LPS @ leave, path)


def encode(transform: Affine, grids: Grids) -> bytes:
    """The bytes of a file that ``3dAllineate -1Dmatrix_apply`` takes.

    Raises
    ------
    InputError
        When a grid is missing.
    """
    fixed, moving = grids.need_both(_REASON)
    leave, arrive = afni_space.from_world(fixed), afni_space.from_world(moving)
    matrix = LPS @ arrive @ transform.matrix @ np.linalg.inv(leave) @ LPS
    return f"# 3dAllineate matrices (DICOM-to-DICOM, row-by-row):\n{numbers.line(matrix[:3])}\n".encode()


FORMAT = Format(
    about="AFNI affine (.aff12.1D)",
    stores="fixed (base) to moving (source)",
    unit="mm, LPS, without obliquity",
    holds=Affine,
    suffixes=(".1D",),
    matches=matches,
    read=read,
    encode=encode,
    needs_grids=True,
)
