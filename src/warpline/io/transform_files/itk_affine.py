"""ITK affine transforms in MATLAB level-4 files, as ANTs writes them (``0GenericAffine.mat``).

Two variables, each with a header of five int32 (type, rows, columns, imaginary, name length) and its
name: 12 parameters (3x3 matrix M by rows, then t) named after the ITK class, and ``fixed``, the centre c.
In LPS mm, ``y = M (x - c) + c + t``.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError
from warpline.io.compression import read_all
from warpline.transforms import Affine

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
_NUMBER_TYPES: dict[int, np.dtype[np.floating[Any]]] = {0: np.dtype("<f8"), 10: np.dtype("<f4")}
_CLASSES = ("AffineTransform", "MatrixOffsetTransformBase")
_HEADER = struct.Struct("<5i")
_MAX_NAME = 128


def matches(head: bytes) -> bool:
    """Whether a file that begins so is an ITK transform in MATLAB format."""
    if len(head) < _HEADER.size:
        return False
    kind, _, columns, imaginary, length = _HEADER.unpack_from(head)
    name = head[_HEADER.size : _HEADER.size + length] if 0 < length <= _MAX_NAME else b""
    return kind in _NUMBER_TYPES and columns == 1 and imaginary == 0 and b"Transform" in name and name.endswith(b"\0")


def read(path: Path) -> Affine:
    """Read the transform, fixed world to moving world in RAS+ mm.

    Raises
    ------
    InputError
        When the file is damaged or holds another class than a 3-D affine.
    """
    content = read_all(path)
    name, parameters, position = _variable(content, 0, path)
    fixed_name, centre, _ = _variable(content, position, path)
    kind, _, sizes = name.partition("_")
    if kind not in _CLASSES or not sizes.endswith("3_3"):
        raise InputError(f"{path} holds a {name}; only {' and '.join(_CLASSES)} in 3-D can be read")
    if parameters.size != 12 or centre.size != 3 or fixed_name != "fixed":
        raise InputError(
            f"{path} has {parameters.size} parameters and {centre.size} {fixed_name!r} values; "
            f"12 and 3 'fixed' are needed"
        )
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    try:
        return Affine(_FLIP @ matrix @ _FLIP)
    except InputError:
        raise InputError(f"{path} holds a matrix that is singular or not finite; write the transform again") from None


def encode(transform: Affine, centre: ArrayLike = (0.0, 0.0, 0.0)) -> bytes:
    """The bytes of a file in double precision.

    Parameters
    ----------
    transform : Affine
        Fixed world to moving world.
    centre : (3,)
        ITK's centre of rotation in RAS+ mm; it changes what the parameters are, not the map.
    """
    matrix = _FLIP @ transform.matrix @ _FLIP
    fixed = _FLIP[:3, :3] @ np.asarray(centre, dtype=np.float64)
    shift = matrix[:3, 3] - fixed + matrix[:3, :3] @ fixed
    parameters = np.concatenate([matrix[:3, :3].ravel(), shift])
    return _packed("AffineTransform_double_3_3", parameters) + _packed("fixed", fixed)


def _packed(name: str, values: NDArray[np.float64]) -> bytes:
    label = name.encode() + b"\0"
    values = values + 0.0  # turns -0.0 into 0.0
    return _HEADER.pack(0, values.size, 1, 0, len(label)) + label + values.astype("<f8").tobytes()


def _variable(content: bytes, start: int, path: Path) -> tuple[str, NDArray[np.float64], int]:
    try:
        kind, rows, columns, _, length = _HEADER.unpack_from(content, start)
        dtype = _NUMBER_TYPES[kind]
        data = start + _HEADER.size + length
        if not (0 < length <= _MAX_NAME and 0 <= rows * columns <= len(content)):
            raise ValueError("impossible sizes")
        values = np.frombuffer(content, dtype, rows * columns, data)
    except (struct.error, KeyError, ValueError) as error:
        raise InputError(f"{path} is a damaged or truncated ITK transform file ({error}); copy it again") from None
    name = content[start + _HEADER.size : data - 1].decode("latin-1")
    return name, values.astype(np.float64), data + values.nbytes
