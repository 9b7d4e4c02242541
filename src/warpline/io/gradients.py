"""Tables of diffusion gradients by FSL's convention: text files of b-values and of directions.

Directions are unit vectors along the axes of the voxels of the image, not of the world; where the matrix of the image
has a positive determinant, the first component is counted the other way. Three lines of T numbers are written; T lines
of three are read too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io.limits import read_bounded

Values = NDArray[np.float64]

MOST_BYTES = 2**24
"""Size of a table: far more than any scanner writes."""


def read_bvals(source: Any) -> Values:
    """B-values (T,) in s/mm^2 from a text file, or as given.

    Raises
    ------
    InputError
        When the file cannot be read, or a value is negative or not finite.
    """
    values = _numbers(source, "bval").ravel()
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError(f"bval {_name(source)} holds values that are negative or not finite; s/mm^2 are needed")
    return values


def read_bvecs(source: Any) -> Values:
    """Directions (T, 3) from a text file, or as given: (3, T) or (T, 3), three lines where both are possible.

    Raises
    ------
    InputError
        When the file cannot be read, or has other numbers.
    """
    values = np.atleast_2d(_numbers(source, "bvec"))
    if values.ndim != 2 or 3 not in values.shape:
        raise InputError(f"bvec {_name(source)} has the shape {values.shape}; three numbers a volume are needed")
    is_file = isinstance(source, (str, os.PathLike))
    in_lines = values.shape[0] == 3 and (is_file or values.shape[1] != 3)
    vectors = values.T if in_lines else values
    return np.where(np.isfinite(vectors), vectors, 0.0)  # some converters write nan for unweighted volumes


def encode_bvecs(vectors: Values) -> bytes:
    """The bytes of a file of three lines, from directions (T, 3)."""
    return "".join(" ".join(f"{value:.8g}" for value in row + 0.0) + "\n" for row in vectors.T).encode()


def _numbers(source: Any, kind: str) -> Values:
    rows = source
    if isinstance(source, (str, os.PathLike)):
        text = read_bounded(Path(source), MOST_BYTES).decode("utf-8", "replace").replace(",", " ")
        rows = [line.split() for line in text.splitlines() if line.strip()]
    try:
        return np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"{kind} {_name(source)} is no table of numbers; write it again") from None


def _name(source: Any) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else "table"
