"""FSL's FLIRT: a bare 4x4 matrix in text form, from FSL's mm of the moving to those of the fixed image.

It pushes, unlike every other file here, and counts from the geometry of both images (`fsl_space`), which the
file does not hold. The same four lines may as well be a matrix in world space, so that a file is read in this
way only when its format is named.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpline.io.transform_files import fsl_space, numbers
from warpline.io.transform_files.format import Format, Grids, Head, read_text
from warpline.space import Affine


def matches(head: Head) -> bool:
    """Whether a file is a bare 4x4 matrix."""
    return numbers.looks_square(head.text)


def read(path: Path, grids: Grids) -> Affine:
    """Read the matrix and invert it: fixed world to moving world.

    Raises
    ------
    InputError
        When the file is no 4x4 matrix, or it is singular or not finite, or a grid is missing.
    """
    pushed = numbers.affine(numbers.square(read_text(path), path), path)
    fixed, moving = grids.need_both(f"{path}: a FLIRT matrix counts from the geometry of its images")
    pulled = fsl_space.to_world(moving) @ pushed.inverse().matrix @ np.linalg.inv(fsl_space.to_world(fixed))
    return numbers.affine(pulled, path)


def encode(transform: Affine, grids: Grids) -> bytes:
    """The bytes of a file that ``flirt -applyxfm`` takes.

    Raises
    ------
    InputError
        When a grid is missing.
    """
    fixed, moving = grids.need_both("a FLIRT matrix counts from the geometry of its images")
    pulled = np.linalg.inv(fsl_space.to_world(moving)) @ transform.matrix @ fsl_space.to_world(fixed)
    return "".join(f"{numbers.line(row)}\n" for row in np.linalg.inv(pulled)).encode()


FORMAT = Format(
    about="FSL FLIRT matrix, a bare 4x4 in text form",
    stores="moving to fixed; turned round when read",
    unit="mm, FSL's scaled voxels",
    holds=Affine,
    suffixes=(".mat", ".txt"),
    matches=matches,
    read=read,
    encode=encode,
    needs_grids=True,
)
