"""ITK's transforms in MATLAB level-4 files, as ANTs writes them (``0GenericAffine.mat``); linear ones are written.

Two variables, each with a header of five int32 (type, rows, columns, imaginary, name length) and its
name: the parameters, named after the ITK class, and ``fixed``, which begins with the centre. What they mean
is in `itk_parts`.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError
from warpline.io.transform_files import itk_parameters, itk_parts
from warpline.io.transform_files.format import MAX_FIELD, Format, Head, read_numbers
from warpline.space import Affine, Part

_NUMBER_TYPES: dict[int, np.dtype[np.floating[Any]]] = {0: np.dtype("<f8"), 10: np.dtype("<f4")}
_HEADER = struct.Struct("<5i")
_MAX_NAME = 128


def matches(head: Head) -> bool:
    """Whether a file is an ITK transform in MATLAB format."""
    return b"Transform" in _first_name(head) and not matches_flat(head)


def matches_flat(head: Head) -> bool:
    """Whether it is one in 2-D."""
    return b"Transform_double_2_2" in _first_name(head) or b"Transform_float_2_2" in _first_name(head)


def read(path: Path) -> Part:
    """Read the transform, fixed world to moving world in RAS+ mm.

    Raises
    ------
    InputError
        When the file is damaged or holds a class that is not known.
    """
    content = read_numbers(path, MAX_FIELD)
    name, parameters, position = _variable(content, 0, path)
    if name.startswith(itk_parameters.COMPOSITE):
        raise InputError(f"{path} holds a {name}, whose parts ITK does not store in .mat; write it as .h5 or .tfm")
    fixed_name, fixed, _ = _variable(content, position, path)
    if fixed_name != "fixed":
        raise InputError(f"{path} has a variable {fixed_name!r} after {name}; 'fixed' is needed there")
    return itk_parts.to_part(name, parameters, fixed, path)


def encode(transform: Affine, centre: ArrayLike = (0.0, 0.0, 0.0)) -> bytes:
    """The bytes of a file in double precision.

    Parameters
    ----------
    transform : Affine
        Fixed world to moving world.
    centre : (3,)
        ITK's centre of rotation in RAS+ mm; it changes what the parameters are, not the map.
    """
    parameters, fixed = itk_parameters.from_affine(transform, centre)
    return _pack(itk_parameters.LINEAR_NAME, parameters) + _pack("fixed", fixed)


def encode_flat(transform: Affine) -> bytes:
    """The bytes of a file in 2-D.

    Raises
    ------
    UsageError
        When the transform does not leave the third axis as it is.
    """
    parameters, fixed = itk_parameters.flat_from_affine(transform)
    return _pack(itk_parameters.FLAT_NAME, parameters) + _pack("fixed", fixed)


def _first_name(head: Head) -> bytes:
    """The name of the first variable, with its closing NUL; empty when there is no column of real numbers."""
    if len(head.content) < _HEADER.size:
        return b""
    kind, _, columns, imaginary, length = _HEADER.unpack_from(head.content)
    if kind not in _NUMBER_TYPES or columns != 1 or imaginary != 0 or not 0 < length <= _MAX_NAME:
        return b""
    name = head.content[_HEADER.size : _HEADER.size + length]
    return name if name.endswith(b"\0") else b""


def _pack(name: str, values: NDArray[np.float64]) -> bytes:
    label = name.encode() + b"\0"
    return _HEADER.pack(0, values.size, 1, 0, len(label)) + label + values.astype("<f8").tobytes()


def _variable(content: bytes, start: int, path: Path) -> tuple[str, NDArray[np.float64], int]:
    try:
        kind, rows, columns, _, length = _HEADER.unpack_from(content, start)
        dtype = _NUMBER_TYPES[kind]
        data = start + _HEADER.size + length
        if not (0 < length <= _MAX_NAME and 0 <= rows * columns <= len(content)):
            raise ValueError("impossible sizes")
        values = np.frombuffer(content, dtype, rows * columns, data) if rows * columns else np.empty(0, dtype)
    except (struct.error, KeyError, ValueError) as error:
        raise InputError(f"{path} is a damaged or truncated ITK transform file ({error}); copy it again") from None
    name = content[start + _HEADER.size : data - 1].decode("latin-1")
    return name, values.astype(np.float64), data + values.nbytes


FORMAT = Format(
    about="ITK linear transform in MATLAB form (ANTs 0GenericAffine.mat)",
    stores="fixed to moving",
    unit="mm, LPS",
    holds=Affine,
    suffixes=(".mat",),
    matches=matches,
    read=read,
    encode=encode,
)
FLAT = replace(FORMAT, about=f"{FORMAT.about}, in 2-D", matches=matches_flat, encode=encode_flat, flat=True)
