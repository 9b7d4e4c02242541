"""Numbers in text files: rows, matrices, and how they are written without loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.space import Affine
from warpline.space.grid import Matrix

_LAST = (0.0, 0.0, 0.0, 1.0)
_SINGLE = 1e-5
"""Rounding error that single precision leaves in the last row 0 0 0 1."""


def rows(text: str) -> list[list[float]]:
    """The numbers of each line that is neither empty nor a comment (#).

    Raises
    ------
    ValueError
        When a line holds anything else.
    """
    return [
        [float(word) for word in line.split()]
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]


def looks_square(text: str) -> bool:
    """Whether a text is a bare 4x4 matrix that ends in 0 0 0 1, up to single precision."""
    try:
        found = rows(text)
    except ValueError:
        return False
    return [len(row) for row in found] == [4] * 4 and np.allclose(found[3], _LAST, rtol=0, atol=_SINGLE)


def square(text: str, path: Path) -> Matrix:
    """The bare 4x4 matrix that a text consists of.

    Raises
    ------
    InputError
        When it is none.
    """
    if not looks_square(text):
        raise InputError(
            f"{path} is no 4x4 matrix in text form; four lines of four numbers are needed, the last 0 0 0 1"
        )
    return exact(np.array(rows(text)))


def exact(matrix: Matrix) -> Matrix:
    """A matrix (4, 4) whose last row, written in single precision, is 0 0 0 1 to the last bit."""
    if matrix.shape == (4, 4) and np.allclose(matrix[3], _LAST, rtol=0, atol=_SINGLE):
        matrix[3] = _LAST
    return matrix


def affine(matrix: Matrix, path: Path) -> Affine:
    """The transform of a matrix (4, 4) that was read from `path`, RAS+ mm.

    Raises
    ------
    InputError
        When it is singular or not finite.
    """
    try:
        return Affine(matrix)
    except InputError:
        raise InputError(f"{path} holds a matrix that is singular or not finite; write the transform again") from None


def line(values: NDArray[np.float64]) -> str:
    """Numbers in one line, with as many digits as they need to be read back exactly."""
    return " ".join(repr(float(value) + 0.0) for value in np.ravel(values))
