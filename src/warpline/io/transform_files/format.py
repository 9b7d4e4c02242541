"""The description of a transform file format: how its files are recognised, read and written."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

from warpline.errors import InputError
from warpline.io import nifti
from warpline.io.compression import open_stream, peek
from warpline.io.transform_files import hdf5
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.grid import Grid

HEAD_SIZE = 4096
"""Bytes that are read to recognise a file."""

MAX_TEXT = 2**20
"""Bytes of the longest text file that is read, unless its format sets another limit."""

MAX_FIELD = 2**29
"""Bytes of the longest file of numbers one after the other that is read: in text, a field of 256^3 voxels."""

_PACKED = 50
"""Deflate's limit, `MAX_RATIO`, over the compression ratio of numbers, which is at most about 20."""

_TEXT = frozenset(string.printable.encode())


class MissingGridError(InputError):
    """A transform file counts from the geometry of its images, and they were not given."""


@dataclass(frozen=True)
class Grids:
    """The grids of the images that a transform joins, as far as they are known."""

    fixed: Grid | None = None
    moving: Grid | None = None

    def need_fixed(self, reason: str) -> Grid:
        """The grid of the fixed image; `reason` says which file needs it and why."""
        if self.fixed is None:
            raise MissingGridError(
                f"{reason}; give the grid of the fixed image: fixed=read_image(...).grid, or --fixed"
            )
        return self.fixed

    def need_moving(self, reason: str) -> Grid:
        """The grid of the moving image; `reason` says which file needs it and why."""
        if self.moving is None:
            raise MissingGridError(
                f"{reason}; give the grid of the moving image: moving=read_image(...).grid, or --moving"
            )
        return self.moving

    def need_both(self, reason: str) -> tuple[Grid, Grid]:
        """Both grids, fixed and moving."""
        if self.fixed is None and self.moving is None:
            raise MissingGridError(
                f"{reason}; give the grids of both images: fixed= and moving=read_image(...).grid, "
                "or --fixed and --moving"
            )
        return self.need_fixed(reason), self.need_moving(reason)


@dataclass(frozen=True)
class Head:
    """The first bytes of a file, by which its format is recognised.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes
        Its first decompressed bytes, `HEAD_SIZE` at most.
    """

    path: Path
    content: bytes

    @classmethod
    def of(cls, path: Path) -> Head:
        """Read the beginning of a file."""
        return cls(path, peek(path, HEAD_SIZE))

    @cached_property
    def nifti(self) -> Nifti1Header | None:
        """The header, when it is a NIfTI file."""
        return nifti.parse_header(self.content, str(self.path))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes when it is a NIfTI file, else none."""
        return () if self.nifti is None else nifti.stored_shape(self.nifti, str(self.path))

    @cached_property
    def intent(self) -> int:
        """NIfTI's intent code; 0 for other files."""
        return 0 if self.nifti is None else int(self.nifti["intent_code"])

    @cached_property
    def intent_name(self) -> str:
        """NIfTI's name of the intent; nothing for other files."""
        return "" if self.nifti is None else bytes(self.nifti["intent_name"].item()).decode("latin-1")

    @cached_property
    def description(self) -> str:
        """NIfTI's description; nothing for other files."""
        return "" if self.nifti is None else bytes(self.nifti["descrip"].item()).decode("latin-1")

    @cached_property
    def extension(self) -> int:
        """Code of the first NIfTI extension, 0 where there is none."""
        if self.nifti is None:
            return 0
        start = len(self.nifti.binaryblock)
        present, code = self.content[start : start + 1], self.content[start + 8 : start + 12]
        if present in (b"", b"\0") or len(code) < 4:
            return 0
        return int(np.frombuffer(code, f"{self.nifti.endianness}i4")[0])

    @cached_property
    def hdf5(self) -> hdf5.Signature:
        """Signature that distinguishes the formats in HDF5; empty for other files."""
        return hdf5.Signature.of(self.path) if self.content.startswith(hdf5.MAGIC) else hdf5.Signature()

    @cached_property
    def text(self) -> str:
        """Its whole lines when it is plain text, else nothing."""
        if set(self.content) - _TEXT:
            return ""
        text = self.content.decode("ascii")
        return text if len(text) < HEAD_SIZE else text[: text.rfind("\n") + 1]


@dataclass(frozen=True)
class Format:
    """One file format of transforms.

    Parameters
    ----------
    about : str
        What it is and which tool writes it.
    stores : str
        What the numbers in the file map, and whereto.
    unit : str
        Unit and axes of the numbers in the file.
    holds : type
        What it stores: an affine, a displacement field, or any chain of them.
    suffixes : tuple of str
        How its files' names end.
    matches, read, encode : callable
        ``matches(head) -> bool``: whether a file may be one; ``read(path) -> transform``, fixed world to moving
        world; ``encode(transform) -> bytes``, uncompressed, or None when the format is only read.
    needs_grids : bool
        Whether a file counts from the geometry of its images, so that `read` and `encode` take `Grids` too.
    allows_nan : bool
        Whether its fields may be NaN where nothing is known.
    flat : bool
        Whether its files are those of 2-D images.
    stores_inverse : bool
        Whether a displacement is stored together with its inverse.

    Examples
    --------
    >>> from warpline.io.transform_files import FORMATS
    >>> FORMATS["itk-warp"].suffixes, FORMATS["fsl-flirt"].needs_grids
    (('.nii', '.nii.gz'), True)
    """

    about: str
    stores: str
    unit: str
    holds: type[Affine] | type[Displacement] | type[Chain]
    suffixes: tuple[str, ...]
    matches: Callable[[Head], bool]
    read: Callable[..., Transform]
    encode: Callable[..., bytes] | None = None
    needs_grids: bool = False
    allows_nan: bool = False
    flat: bool = False
    stores_inverse: bool = False


def read_numbers(path: Path, most: int) -> bytes:
    """The whole content of a file of numbers; of a compressed one, no more than numbers can be compressed.

    Raises
    ------
    InputError
        When it is longer than `most` bytes.
    """
    with open_stream(path) as (stream, limit):
        if limit > path.stat().st_size:
            most = min(most, max(MAX_TEXT, limit // _PACKED))
        content = stream.read(min(most, limit) + 1)
    if len(content) > most:
        raise InputError(f"{path} is longer than {most} bytes; no transform in this form is so long")
    return content


def read_text(path: Path, most: int = MAX_TEXT) -> str:
    """The whole content of a text file.

    Raises
    ------
    InputError
        When it is longer than `most` bytes or no text.
    """
    try:
        return read_numbers(path, most).decode()
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text file; copy it again, or name its format") from None
