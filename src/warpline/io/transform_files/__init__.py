"""Transform files: one module per format, each with ``matches``, ``read`` and ``encode``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpline.errors import InputError, UsageError
from warpline.io.atomic import write_atomic
from warpline.io.compression import compress, peek
from warpline.io.nifti import HEAD_SIZE
from warpline.io.transform_files import dipy_mapping, itk_affine, itk_warp
from warpline.transforms import Affine, Chain, Displacement, Part

__all__ = ["FORMATS", "Format", "read_transform", "write_transform"]


@dataclass(frozen=True)
class Format:
    """One file format of transforms.

    Parameters
    ----------
    holds : type
        The transform it stores.
    suffixes : tuple of str
        How its files' names end.
    matches, read, encode : callable
        ``matches(head) -> bool`` on the first decompressed bytes; ``read(path) -> transform``;
        ``encode(transform) -> bytes``, uncompressed.
    """

    holds: type[Affine] | type[Displacement]
    suffixes: tuple[str, ...]
    matches: Callable[[bytes], bool]
    read: Callable[[Path], Part]
    encode: Callable[[Any], bytes]


FORMATS = {
    "itk-affine": Format(Affine, (".mat",), itk_affine.matches, itk_affine.read, itk_affine.encode),
    "itk-warp": Format(Displacement, (".nii", ".nii.gz"), itk_warp.matches, itk_warp.read, itk_warp.encode),
    "dipy-mapping": Format(
        Displacement, (".nii", ".nii.gz"), dipy_mapping.matches, dipy_mapping.read, dipy_mapping.encode
    ),
}
"""Name to format; where several hold a transform, the first is the default for writing."""


def read_transform(path: str | os.PathLike[str]) -> Part:
    """Read a transform, its format found by content; nothing in the file is executed.

    Returns
    -------
    Affine or Displacement
        Fixed world points to moving world points, RAS+ mm.

    Raises
    ------
    InputError
        When the file is missing or damaged, or its format is not known.
    """
    path = Path(path)
    head = peek(path, HEAD_SIZE)
    for known in FORMATS.values():
        if known.matches(head):
            return known.read(path)
    raise InputError(f"{path} is no transform file of a known format; {', '.join(FORMATS)} can be read")


def write_transform(transform: Part | Chain, path: str | os.PathLike[str], format: str | None = None) -> None:
    """Write a transform, complete or not at all.

    Parameters
    ----------
    transform : Affine, Displacement, or Chain of one of them
        Of a displacement, ITK's format stores the forward field only; write ``transform.inverse()`` to a second file.
    path : path
        Compressed when it ends in ``.gz``.
    format : str, optional
        A key of `FORMATS`; by default ITK's format for the kind of transform.

    Raises
    ------
    UsageError
        When no format fits the transform and the file name.
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    if isinstance(transform, Chain):
        if len(transform.parts) != 1:
            count = len(transform.parts)
            raise UsageError(f"{path}: a chain of {count} does not fit one file; write its parts one by one")
        transform = transform.parts[0]
    content = _fitting(transform, path, format).encode(transform)
    write_atomic(path, compress(content) if path.suffix == ".gz" else content)


def _fitting(transform: Part, path: Path, name: str | None) -> Format:
    if name is not None and name not in FORMATS:
        raise UsageError(f"transform format {name!r} is unknown; choose from {', '.join(FORMATS)}")
    for known in (FORMATS[name],) if name else FORMATS.values():
        if isinstance(transform, known.holds) and path.name.endswith(known.suffixes):
            return known
    allowed = "; ".join(f"{key}: {one.holds.__name__} in {' or '.join(one.suffixes)}" for key, one in FORMATS.items())
    raise UsageError(f"{path}: no format stores {type(transform).__name__} under this name; there are {allowed}")
