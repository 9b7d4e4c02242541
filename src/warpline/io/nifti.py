"""NIfTI-1 and NIfTI-2 single files: header and stored array to and from bytes."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import DTypeLike, NDArray

from warpline.errors import InputError
from warpline.io import limits
from warpline.io.compression import open_stream
from warpline.io.header_notes import notes_of
from warpline.io.nifti_geometry import CHOICES, Placement, chosen, is_right_handed
from warpline.space.grid import Grid, GridHeader, Matrix, check_affine, lies_in_plane

HEAD_SIZE = 540
"""Bytes of the longest header."""

INTENT_DISPLACEMENT = 1006
INTENT_VECTOR = 1007

_SILENT = logging.Logger("silent", logging.CRITICAL + 1)
"""Takes what nibabel would print about a header; what matters becomes an error."""

MAX_SIZE_1 = 32767
"""Most voxels along an axis of NIfTI-1."""

_MM_SECONDS = 2 | 8
_SCANNER = 1
STORED_AS = {"bool": "uint8", "float16": "float32"}
"""Types that images in files cannot have, to those that hold the same values."""


@dataclass(frozen=True, eq=False)
class StoredArray:
    """A NIfTI file as stored.

    Parameters
    ----------
    header : Nifti1Header
        NIfTI-2 headers are a subclass.
    array : any shape
        Stored values before scaling, a read-only view in the file's order.
    grid : Grid
        Of its first three axes, with what the header leaves open.
    place : Placement
        What the header says about the grid.
    """

    header: Nifti1Header
    array: NDArray[np.generic]
    grid: Grid
    place: Placement

    @property
    def affine(self) -> Matrix:
        """Voxel to world (RAS+ mm), (4, 4)."""
        return self.grid.affine


def parse_header(head: bytes, name: str) -> Nifti1Header | None:
    """The header in the first bytes of a file, or None when they are not those of a single NIfTI file.

    Raises
    ------
    InputError
        When the header contradicts itself.
    """
    stored = stored_header(head)
    return None if stored is None else _repair(stored, name)


def stored_header(head: bytes, *, pair: bool = False) -> Nifti1Header | None:
    """The header in the first bytes of a single NIfTI file, or of the header of a pair, as it is stored; else None."""
    kinds: tuple[tuple[Any, bytes], ...] = ((Nifti1Header, head[344:348]), (Nifti2Header, head[4:8]))
    for kind, magic in kinds:
        size = kind.template_dtype.itemsize
        if magic == (kind.pair_magic if pair else kind.single_magic) + b"\0" and len(head) >= size:
            header: Nifti1Header = kind(head[:size], check=False)
            return header
    return None


def scaling(header: Nifti1Header, name: str) -> tuple[float | None, float | None]:
    """Slope and intercept of the stored values, None where there are none.

    Raises
    ------
    InputError
        When the slope is valid and the intercept is not finite.
    """
    try:
        slope, inter = header.get_slope_inter()
    except HeaderDataError as error:
        raise InputError(f"{name} has a damaged scaling (scl_slope, scl_inter): {error}; convert it again") from None
    return slope, inter


def _repair(stored: Nifti1Header, name: str) -> Nifti1Header:
    """A header as nibabel repairs it; what matters of that is among the notes of its grid."""
    header: Nifti1Header = stored.copy()
    try:
        header.check_fix(_SILENT, error_level=logging.ERROR)
    except (HeaderDataError, WrapStructError, ValueError) as error:
        raise InputError(f"{name} has a damaged NIfTI header: {error}; convert it again") from None
    return header


def read(path: Path, geometry: str | None = None) -> StoredArray | None:
    """Read a single NIfTI file, compressed or not; None when it is not one.

    Parameters
    ----------
    path : Path
        The file.
    geometry : {"sform", "qform"}, optional
        Which matrix of the header to take where it has both.

    Raises
    ------
    InputError
        When the file is missing, damaged or cut short, or its header is not usable.
    """
    with open_stream(path) as (stream, limit):
        head = stream.read(HEAD_SIZE)
        stored = stored_header(head)
        if stored is None:
            return None
        header = _repair(stored, str(path))
        shape, dtype, offset = _layout(header, str(path))
        total = offset + math.prod(shape) * dtype.itemsize
        limits.check_memory(path, min(total, limit))
        stream.seek(0)
        body = b"" if total > limit else stream.read(total)
        held = limit if total > limit else len(body)
        if held < total:
            raise _truncation(path, shape, dtype, total, held)
        stream.read(1)  # the end of a gzip stream carries its checksum
    array = np.frombuffer(body, dtype, math.prod(shape), offset).reshape(shape, order="F")
    place = Placement.of(stored, header)
    return StoredArray(header, array, grid_of(place, str(path), geometry), place)


def read_grid(path: Path, geometry: str | None = None) -> Grid | None:
    """The grid in the header of a single NIfTI file; None when it is not one.

    Raises
    ------
    InputError
        When the file is missing, its header is not usable, or it cannot hold what the header promises.
    """
    with open_stream(path) as (stream, limit):
        stored = stored_header(stream.read(HEAD_SIZE))
        if stored is None:
            return None
        header = _repair(stored, str(path))
        shape, dtype, offset = _layout(header, str(path))
        total = offset + math.prod(shape) * dtype.itemsize
        if total > limit:
            raise _truncation(path, shape, dtype, total, limit)
        return grid_of(Placement.of(stored, header), str(path), geometry)


def grid_of(place: Placement, name: str, geometry: str | None = None) -> Grid:
    """The grid of a header, with a note for everything that the header leaves open.

    Parameters
    ----------
    place : Placement
        What the header says.
    name : str
        Of the file.
    geometry : {"sform", "qform"}, optional
        Which matrix to take where both are set; the sform when None.

    Raises
    ------
    InputError
        When the matrix is singular or not finite.
    UsageError
        When `geometry` is neither.
    """
    taken = chosen(place, geometry)
    affine = _check_header(place, taken, name)
    notes = notes_of(place, name, geometry, (taken, affine))
    i, j, k = (float(size) for size in place.sizes)
    flat = place.axes == 2 and lies_in_plane(affine)
    return Grid(place.shape, affine, flat, GridHeader(taken, (i, j, k), is_right_handed(place), notes))


def _check_header(place: Placement, taken: str, name: str) -> Matrix:
    try:
        return check_affine(place.matrix(taken), f"{name}: the affine of its header")
    except InputError as error:
        reason = str(error)
    except (HeaderDataError, ValueError) as error:
        reason = f"{name} has a damaged qform: {error}; write a valid sform or qform into the file"
    other = next((other for other in CHOICES if other != taken and place.has(other)), None)
    raise InputError(f"{reason}, or take its {other}: --geometry {other} (geometry={other!r})" if other else reason)


def _truncation(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic], total: int, held: int) -> InputError:
    return InputError(
        f"{path} is truncated: shape {shape} of {dtype} needs {total} bytes, "
        f"the file holds at most {held}; copy or convert it again"
    )


def encode(
    array: NDArray[np.generic],
    affine: Matrix,
    *,
    intent: int = 0,
    description: str = "",
    pixdim: Sequence[float] | None = None,
) -> bytes:
    """The bytes of an uncompressed file with sform and qform (mm); NIfTI-2 when an axis needs it.

    A sheared `affine` fits only the sform, so the qform is then marked unknown. Booleans are stored
    as uint8 and float16 as float32, which keep every value. `pixdim` are voxel sizes to state apart from the
    lengths of the columns of `affine`, for tools that count by them.

    Raises
    ------
    InputError
        When NIfTI has no code for the data type.
    """
    content = io.BytesIO()  # its value is no copy
    content.write(encode_head(array.shape, array.dtype, affine, intent=intent, description=description, pixdim=pixdim))
    dtype = stored_type(array.dtype)
    for volume in array.T if array.ndim > 3 else [array.T]:
        content.write(c_ordered(volume, dtype).data.cast("B"))
    return content.getvalue()


def stored_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The little-endian type that values are written in."""
    return np.dtype(STORED_AS.get(dtype.name, dtype)).newbyteorder("<")


def encode_head(
    shape: Sequence[int],
    dtype: np.dtype[Any],
    affine: Matrix,
    *,
    intent: int = 0,
    description: str = "",
    pixdim: Sequence[float] | None = None,
) -> bytes:
    """Everything of a file before its values; `encode` has the parameters.

    Raises
    ------
    InputError
        When NIfTI has no code for the data type.
    """
    kind: Any = Nifti1Header if max(shape) <= MAX_SIZE_1 else Nifti2Header
    header: Nifti1Header = kind(endianness="<")
    try:
        header.set_data_dtype(stored_type(dtype))
    except HeaderDataError:
        raise InputError(f"data of type {dtype} cannot be stored in NIfTI; convert it to float32") from None
    header.set_data_shape(shape)
    header.set_slope_inter(1, 0)
    header["xyzt_units"] = _MM_SECONDS
    header["intent_code"] = intent
    header["descrip"] = description
    header["vox_offset"] = header.single_vox_offset
    place(header, affine, pixdim)
    return bytes(header.binaryblock) + bytes(header.single_vox_offset - len(header.binaryblock))


def c_ordered(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Copy to C order in slabs that fit the cache; copying a whole volume at once would miss it at every voxel."""
    ordered = np.empty(array.shape, dtype)
    for j in range(array.shape[-2]):
        ordered[..., j, :] = array[..., j, :]
    return ordered


def place(header: Nifti1Header, affine: Matrix, pixdim: Sequence[float] | None = None) -> None:
    """Write a matrix (RAS+ mm) into a header: as sform, and as qform where it has no shear; `pixdim` as of `encode`."""
    header.set_qform(affine, _SCANNER, strip_shears=True)
    header.set_sform(affine, _SCANNER)
    sheared = np.abs(header.get_qform() - affine)[:3, :3].max() > 1e-4 * np.abs(affine[:3, :3]).max()
    apart = pixdim is not None and not np.allclose(header["pixdim"][1:4], pixdim, rtol=1e-6, atol=0)
    if apart:
        header["pixdim"][1:4] = pixdim
    if sheared or apart:
        header["qform_code"] = 0


def stored_shape(header: Nifti1Header, name: str) -> tuple[int, ...]:
    """Sizes of the axes.

    Raises
    ------
    InputError
        When the header contradicts itself, as in FreeSurfer's encoding of long axes.
    """
    try:
        return tuple(int(n) for n in header.get_data_shape())
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise InputError(f"{name} has a damaged NIfTI header: {error}; convert it again") from None


def _layout(header: Nifti1Header, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic], int]:
    try:
        shape = stored_shape(header, name)
        dtype = header.get_data_dtype()
        offset = int(header.get_data_offset())
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise InputError(f"{name} has a damaged NIfTI header: {error}; convert it again") from None
    if not shape or min(shape) < 1:
        raise InputError(f"{name} has the shape {shape} in its header (dim); sizes of at least 1 are needed")
    if offset < header.single_vox_offset:
        raise InputError(f"{name} has vox_offset {offset} in its header; at least {header.single_vox_offset} is needed")
    return shape, dtype, offset
