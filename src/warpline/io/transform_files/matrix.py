"""A bare 4x4 matrix in text form, as DIPY (``affine.txt``), Greedy and c3d (in RAS) write it.

Fixed world to moving world, RAS+ mm. The same four lines may as well be a matrix of FLIRT, so that a file is
read in this way only when its format is named.
"""

from __future__ import annotations

from pathlib import Path

from warpline.io.transform_files import numbers
from warpline.io.transform_files.format import Format, Head, read_text
from warpline.space import Affine


def matches(head: Head) -> bool:
    """Whether a file is a bare 4x4 matrix."""
    return numbers.looks_square(head.text)


def read(path: Path) -> Affine:
    """Read the matrix.

    Raises
    ------
    InputError
        When the file is no 4x4 matrix, or it is singular or not finite.
    """
    return numbers.affine(numbers.square(read_text(path), path), path)


def encode(transform: Affine) -> bytes:
    """The bytes of a file that keeps every digit."""
    return "".join(f"{numbers.line(row)}\n" for row in transform.matrix).encode()


FORMAT = Format(
    about="bare 4x4 matrix in text form (DIPY, Greedy)",
    stores="fixed to moving",
    unit="mm, RAS",
    holds=Affine,
    suffixes=(".txt", ".mat"),
    matches=matches,
    read=read,
    encode=encode,
)
