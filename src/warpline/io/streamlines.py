"""Streamline files, TrackVis ``.trk`` and MRtrix ``.tck``: points in world RAS+ mm, values per point and streamline."""

from __future__ import annotations

import mmap
import os
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.orientations import aff2axcodes
from nibabel.streamlines.header import Field
from nibabel.streamlines.tck import TckFile
from nibabel.streamlines.tractogram import Tractogram
from nibabel.streamlines.tractogram_file import HeaderWarning
from nibabel.streamlines.trk import TrkFile
from numpy.typing import NDArray

from warpline.errors import InputError, OutputError, UsageError
from warpline.io.atomic import Transaction
from warpline.io.compression import GZIP_MAGIC, peek
from warpline.io.limits import check_memory
from warpline.space.grid import Grid

SUFFIXES = (".trk", ".tck")
"""How names of streamline files end."""


_HEADER = 1000
"""Bytes of the header of a ``.trk`` file."""

_DECODED, _MOST_EMPTY = 4, 100_000
"""Bytes in memory for one of a file, and streamlines without a point that a file may have."""


@dataclass(frozen=True, eq=False)
class Streamlines:
    """Streamlines with their values per point and per streamline.

    Parameters
    ----------
    points : (N, 3) float64
        Of all streamlines, one after the other: world, RAS+ mm.
    tractogram : nibabel Tractogram
        As read, in world space: lengths, values per point and per streamline.
    """

    points: NDArray[np.float64]
    tractogram: Any

    def __len__(self) -> int:
        return len(self.tractogram.streamlines)

    def with_points(self, points: NDArray[np.float64]) -> Streamlines:
        """The same streamlines elsewhere."""
        moved = self.tractogram.copy()
        moved.streamlines._data = points.astype(np.float32)
        return Streamlines(points, moved)


def read_streamlines(path: str | os.PathLike[str]) -> Streamlines:
    """Read a ``.trk`` or ``.tck`` file.

    Raises
    ------
    InputError
        When the file is missing, damaged, of another kind, does not say where its points are, or holds coordinates
        that are not finite.
    """
    path = Path(path)
    head = peek(path, _HEADER)
    _check_sizes(path, head)
    try:
        if not nibabel.streamlines.is_supported(str(path)):
            raise ValueError("it begins with neither TRACK nor mrtrix tracks")
        with warnings.catch_warnings():
            warnings.simplefilter("error", HeaderWarning)  # a header that does not say where its points are
            tractogram = nibabel.streamlines.load(str(path)).tractogram.to_world()
    except Exception as error:  # nibabel meets damage with errors of many kinds
        reason = "it is empty" if not head else " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is no readable streamline file ({reason}); .trk or .tck is needed") from None
    points = np.asarray(tractogram.streamlines.get_data(), dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise InputError(f"{path} holds coordinates that are not finite; export the streamlines again")
    return Streamlines(points, tractogram)


def segments_of(streamlines: Streamlines) -> NDArray[np.int64]:
    """The straight pieces (M, 2) of all streamlines, as indices of their points."""
    stops = np.cumsum([len(line) for line in streamlines.tractogram.streamlines], dtype=np.int64)
    starts = np.setdiff1d(np.arange(len(streamlines.points), dtype=np.int64), stops - 1)
    return np.column_stack([starts, starts + 1])


def _check_sizes(path: Path, head: bytes) -> None:
    """Refuse what would not fit into memory, is compressed, or consists of streamlines without a point."""
    with path.open("rb") as file:
        plain = file.read(len(GZIP_MAGIC)) != GZIP_MAGIC
    if not plain or path.suffix in (".gz", ".bz2", ".zst"):
        raise InputError(f"{path} is compressed, or called so; decompress it, .trk or .tck is needed")
    check_memory(path, _DECODED * path.stat().st_size)
    if not head.startswith(b"TRACK") or len(head) < _HEADER:
        return
    order = "<" if struct.unpack_from("<i", head, 996)[0] == _HEADER else ">"
    (scalars,), (properties,) = struct.unpack_from(f"{order}h", head, 36), struct.unpack_from(f"{order}h", head, 238)
    if min(scalars, properties) < 0 or _count_empty(path, f"{order}i", 4 * (3 + scalars), 4 * properties) > _MOST_EMPTY:
        raise InputError(
            f"{path} has over {_MOST_EMPTY} streamlines without a point, or a damaged header; export it again"
        )


def _count_empty(path: Path, number: str, point: int, properties: int) -> int:
    """Number of streamlines of a ``.trk`` file without a point; a negative count ends the scan."""
    empty, at = 0, _HEADER
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while at + 4 <= len(content):
            (count,) = struct.unpack_from(number, content, at)
            if count < 0:
                break
            empty += count == 0
            at += 4 + count * point + properties
    return empty


def check_streamline_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name that ends otherwise.

    Raises
    ------
    UsageError
        When the name ends neither in ``.trk`` nor in ``.tck``.
    """
    if not os.fspath(path).endswith(SUFFIXES):
        raise UsageError(f"{os.fspath(path)} is no name for streamlines; let it end in {' or '.join(SUFFIXES)}")


def write_streamlines(streamlines: Streamlines, path: str | os.PathLike[str], grid: Grid | None = None) -> None:
    """Write streamlines by the suffix of the name, complete or not at all.

    Parameters
    ----------
    streamlines : Streamlines
        In world space.
    path : path
        ``.trk`` keeps the values of points and streamlines; ``.tck`` cannot hold them.
    grid : Grid, optional
        Of the image that they now belong to; a ``.trk`` file names it.

    Raises
    ------
    UsageError
        When the name ends otherwise, or a ``.trk`` file has no grid.
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    check_streamline_name(path)
    if grid is None and path.suffix == ".trk":
        raise UsageError(f"{path}: a .trk file names the image it lies on; give its grid, or write a .tck file")
    stored = Tractogram(
        streamlines.tractogram.streamlines,
        data_per_streamline=streamlines.tractogram.data_per_streamline,
        data_per_point=streamlines.tractogram.data_per_point,
        affine_to_rasmm=np.eye(4),
    )
    with Transaction() as files, files.staged(path) as temporary:
        try:
            _WRITERS[path.suffix](stored, grid).save(str(temporary))
        except ValueError as error:
            raise OutputError(f"{path} cannot be written: {error}") from None


def _trk(tractogram: Tractogram, grid: Any) -> TrkFile:
    header = {
        Field.VOXEL_TO_RASMM: grid.affine,
        Field.VOXEL_SIZES: grid.voxel_size,
        Field.DIMENSIONS: grid.shape,
        Field.VOXEL_ORDER: "".join(aff2axcodes(grid.affine)),
    }
    return TrkFile(tractogram, header)


def _tck(tractogram: Tractogram, grid: Any) -> TckFile:
    return TckFile(Tractogram(tractogram.streamlines, affine_to_rasmm=np.eye(4)))


_WRITERS = {".trk": _trk, ".tck": _tck}
