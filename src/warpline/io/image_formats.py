"""Images in other formats than NIfTI's single files: the formats that are read, and checks before reading.

`FORMATS` is an allow-list. nibabel would open more, each a risk with untrusted files: links to other files,
headers that claim a terabyte, archives that expand without end. The format follows from the file's name, the data are
read from the files that the name implies, and the claimed size is checked against theirs (`limits`) before any value is
read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nibabel
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.imageglobals import LoggingOutputSuppressor
from nibabel.spatialimages import SpatialImage

from warpline.errors import InputError
from warpline.io import limits
from warpline.io.compression import GZIP_MAGIC, MAX_RATIO, open_stream, peek

T = TypeVar("T")

HEADER_SIZE = 540
"""Bytes of the longest binary header."""

LONGEST_HEADER = 4 * limits.MEGABYTE
"""Bytes of the longest header in text form, or of a side file with a matrix."""

_MGH_DATA, _MGH_HEAD = 284, 90
_FLOAT64 = 8


@dataclass(frozen=True)
class ImageFormat:
    """A format of images that is read.

    Parameters
    ----------
    about : str
        What it is and which tool writes it.
    suffixes : tuple of str
        How the names of its files end, in lower case.
    open : callable
        ``open(path) -> image``: header read and sizes checked; values may be loaded later.
    """

    about: str
    suffixes: tuple[str, ...]
    open: Callable[[Path], SpatialImage]


def open_image(path: Path) -> SpatialImage:
    """An image in one of `FORMATS`, its sizes checked.

    Raises
    ------
    InputError
        When the file is missing, damaged, in no format of the table, or claims more than it can hold.
    """
    empty = not peek(path, 1)
    known = next((one for one in FORMATS.values() if path.name.lower().endswith(one.suffixes)), None)
    if known is None or empty:
        reason = "it is empty" if empty else "it is no NIfTI, and its name is that of no other format"
        raise _unreadable(path, reason)
    return with_clear_errors(path, lambda: known.open(path))


def with_clear_errors(path: Path, read: Callable[[], T]) -> T:
    """Call `read()`; any error that a damaged file causes becomes an `InputError` of one line.

    Raises
    ------
    InputError
        For every error.
    """
    try:
        with LoggingOutputSuppressor():  # what nibabel repairs is among the notes of the grid
            return read()
    except InputError:
        raise
    except (Exception, SystemError) as error:  # nibabel raises errors of many kinds on damaged files
        raise _unreadable(path, " ".join(str(error).split())[:200] or type(error).__name__) from None


def _unreadable(path: Path, reason: str) -> InputError:
    allowed = ", ".join(suffix for known in FORMATS.values() for suffix in known.suffixes)
    return InputError(
        f"{path} is not a readable image ({reason}); NIfTI, NRRD, MetaImage and OME-Zarr, or by the "
        f"name's end {allowed}, can be read"
    )


def _open_mgh(path: Path) -> SpatialImage:
    with open_stream(path) as (stream, limit):
        head = stream.read(_MGH_DATA)
        if len(head) < _MGH_HEAD:
            raise _unreadable(path, f"{len(head)} bytes are no header of MGH")
        header = MGHHeader(head[:_MGH_HEAD])
        shape, dtype = tuple(int(n) for n in header.get_data_shape()), np.dtype(header.get_data_dtype())
        limits.check_size(path, shape, dtype.itemsize, limit - _MGH_DATA)
        need = int(np.prod(shape)) * dtype.itemsize
        body = stream.read(need)
        if len(body) < need:
            raise InputError(
                f"{path} is truncated: shape {shape} needs {need} bytes, it holds {len(body)}; copy it anew"
            )
        stream.read(1)  # the end of a gzip stream carries its checksum
    values = np.frombuffer(body, dtype.newbyteorder(">")).reshape(shape, order="F")
    image = nibabel.MGHImage(values, header.get_affine(), header)
    image.file_map["image"].filename = os.fspath(path)
    return image


def _open_pair(path: Path) -> SpatialImage:
    """NIfTI in two files, or Analyze with SPM's matrix beside it."""
    names = nibabel.Spm2AnalyzeImage.filespec_to_file_map(os.fspath(path))
    head = peek(_file_of(names, "header"), HEADER_SIZE)
    _check_short(_file_of(names, "mat"))
    kinds = {b"ni1\0": nibabel.Nifti1Pair, b"ni2\0": nibabel.Nifti2Pair}
    kind = kinds.get(head[344:348], kinds.get(head[4:8], nibabel.Spm2AnalyzeImage))
    return _open_proxy(kind, path)


def _open_minc(path: Path) -> SpatialImage:
    if peek(path, 4).startswith(b"CDF"):
        return _open_in_memory(nibabel.Minc1Image, path)
    from warpline.io.minc import check_minc2

    check_minc2(path)
    return nibabel.Minc2Image.from_filename(os.fspath(path))


def _open_par(path: Path) -> SpatialImage:
    names = nibabel.parrec.PARRECImage.filespec_to_file_map(os.fspath(path))
    _check_short(_file_of(names, "header"))
    return _open_proxy(nibabel.parrec.PARRECImage, path)


def _open_afni(path: Path) -> SpatialImage:
    names = nibabel.brikhead.AFNIImage.filespec_to_file_map(os.fspath(path))
    _check_short(_file_of(names, "header"))
    return _open_proxy(nibabel.brikhead.AFNIImage, path)


def _open_proxy(kind: Any, path: Path) -> SpatialImage:
    """An image whose header is read, its values not yet; its data file is plain or gzip-compressed."""
    image: SpatialImage = kind.from_filename(os.fspath(path), mmap=False)
    data = _file_of(image.file_map, "image")
    size, gzipped = data.stat().st_size, peek_raw(data) == GZIP_MAGIC
    if gzipped != data.name.lower().endswith(".gz"):
        raise InputError(
            f"{data} is compressed or not, other than its name says; rename it, or decompress it with gunzip"
        )
    held = size * MAX_RATIO if gzipped else size
    limits.check_size(path, image.shape, np.dtype(image.get_data_dtype()).itemsize, held, decoded=_FLOAT64)
    return image


def _open_in_memory(kind: Any, path: Path) -> SpatialImage:
    """An image whose reader takes the file into memory at once."""
    if peek_raw(path) == GZIP_MAGIC:
        raise InputError(f"{path} is compressed; decompress it with gunzip")
    limits.check_memory(path, path.stat().st_size)
    image: SpatialImage = kind.from_filename(os.fspath(path))
    limits.check_size(
        path, image.shape, np.dtype(image.get_data_dtype()).itemsize, path.stat().st_size, decoded=_FLOAT64
    )
    return image


def peek_raw(path: Path) -> bytes:
    """The first two bytes on disk, not decompressed."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC))


def _file_of(names: Any, which: str) -> Path:
    """One of the files of an image, by nibabel's map of them."""
    return Path(names[which].filename)


def _check_short(path: Path) -> None:
    """Refuse a header in text form, or a matrix file, that is longer than any such file."""
    if path.exists() and path.stat().st_size > LONGEST_HEADER:
        raise InputError(f"{path} is longer than {LONGEST_HEADER} bytes, as no header is; write it again")


FORMATS = {
    "mgh": ImageFormat("FreeSurfer's volumes", (".mgh", ".mgz", ".mgh.gz"), _open_mgh),
    "pair": ImageFormat("NIfTI in two files, and Analyze 7.5", (".hdr", ".img", ".hdr.gz", ".img.gz"), _open_pair),
    "minc": ImageFormat("MINC 1 and 2", (".mnc",), _open_minc),
    "par-rec": ImageFormat("Philips PAR/REC", (".par", ".rec"), _open_par),
    "afni": ImageFormat("AFNI's container", (".head", ".brik", ".brik.gz"), _open_afni),
}
"""What is read besides NIfTI's single files; nothing else is."""
