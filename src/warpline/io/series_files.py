"""Series of volumes: read and written a volume at a time, so that memory does not grow with their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io import nifti, zarr_names
from warpline.io.compression import gzip_writer
from warpline.io.images import Source, as_image
from warpline.space.grid import Grid

TYPES = ("float32", "stored")
"""Types of values that a moved series is written in: single precision, or that of the file it was read from."""

SECONDS_OF = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
"""Seconds of the units of time of NIfTI; a header without a unit means seconds."""

OF_SLICES = ("dim_info", "slice_code", "slice_start", "slice_end", "slice_duration")
"""What a header says of the slices as they were measured; on another grid there are no such slices."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Series:
    """Volumes on one grid, each read when it is asked for.

    Parameters
    ----------
    grid : Grid
        Of every volume.
    count : int
        Number of volumes.
    read : callable
        Number of a volume to its values (I, J, K), float32, C-contiguous.
    name : str
        What messages call it.
    path : str, optional
        Its file.
    header : Nifti1Header, optional
        Of its file, as stored.
    """

    grid: Grid
    count: int
    read: Callable[[int], Floats]
    name: str = "series"
    path: str | None = None
    header: Nifti1Header | None = None

    def volume(self, number: int) -> Floats:
        """The values (I, J, K) of a volume, float32.

        Raises
        ------
        InputError
            When one of them is not finite.
        """
        values = self.read(number)
        if not np.isfinite(values).all():
            raise InputError(
                f"volume {number} of {self.name} holds NaN or infinity; replace them, for instance by numpy.nan_to_num"
            )
        return values

    def taken(self, numbers: Sequence[int]) -> Series:
        """The series of some of its volumes."""
        chosen = list(numbers)
        return replace(self, count=len(chosen), read=lambda number: self.read(chosen[number]))

    @property
    def repetition_time(self) -> float | None:
        """Seconds from one volume to the next by the header; None where it gives none."""
        if self.header is None or len(self.header.get_zooms()) < 4:
            return None
        return float(self.header.get_zooms()[3]) * SECONDS_OF.get(self.header.get_xyzt_units()[1], 1.0) or None


def open_series(source: Source, name: str = "series", geometry: str | None = None) -> Series:
    """A series from what `warpline.io.images.as_image` takes; of NIfTI the values stay in memory as they are stored.

    Parameters
    ----------
    source : path, nibabel image, Image, array or (array, affine)
        Of four axes, the last of time; of three for a series of one volume.
    name : str
        What messages call one without a file.
    geometry : {"sform", "qform"}, optional
        As of `warpline.io.images.read_image`.

    Raises
    ------
    InputError
        When it cannot be read, or has other axes.
    """
    if isinstance(source, Series):
        return source
    if isinstance(source, (str, os.PathLike)) and not zarr_names.is_zarr(Path(source)):
        stored = nifti.read(Path(source), geometry)
        if stored is not None:
            return _of_nifti(stored, os.fspath(source))
    image = as_image(source, name, geometry)
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    data = image.data if image.data.ndim == 4 else image.data[..., None]
    return Series(
        image.grid, data.shape[3], lambda number: np.ascontiguousarray(data[..., number], np.float32), image.name, path,
        _header_of(source),
    )  # fmt: skip


def _header_of(source: Source) -> Nifti1Header | None:
    """The header of a NIfTI image of nibabel, with the scaling that nibabel keeps beside it."""
    if not isinstance(source, SpatialImage) or not isinstance(source.header, Nifti1Header):
        return None
    header: Nifti1Header = source.header.copy()
    if type(source.dataobj) is ArrayProxy:
        header.set_slope_inter(source.dataobj.slope, source.dataobj.inter)
    return header


def _of_nifti(stored: nifti.StoredArray, path: str) -> Series:
    values = stored.array
    while values.ndim > 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or values.dtype.kind not in "biuf":
        raise InputError(
            f"{path} has the shape {stored.array.shape} of {stored.array.dtype}; a series of real numbers has four "
            "axes, the last of time"
        )
    slope, inter = nifti.scaling(stored.header, path)
    factor, start = (1.0 if slope is None else float(slope)), float(inter or 0)

    def read(number: int) -> Floats:
        one = nifti.c_ordered(values[..., number], np.float64 if (factor, start) != (1, 0) else np.float32)
        return np.asarray(one if (factor, start) == (1, 0) else one * factor + start, dtype=np.float32)

    return Series(stored.grid, values.shape[3], read, path, path, stored.header)


def moved_header(series: Series, grid: Grid, kind: str) -> Nifti1Header:
    """The header of a moved series: that of its file with the new grid; time axis, units and texts as they were.

    Parameters
    ----------
    series : Series
        What was moved.
    grid : Grid
        What it was moved to.
    kind : {"float32", "stored"}
        In `TYPES`.

    Raises
    ------
    UsageError
        When the type is unknown.
    """
    if kind not in TYPES:
        raise UsageError(f"the type of the moved series is {kind!r}; choose from {', '.join(TYPES)}")
    shape = (*grid.shape, series.count)
    fresh: Any = Nifti1Header if max(shape) <= nifti.MAX_SIZE_1 else Nifti2Header
    header: Nifti1Header = fresh(endianness="<") if series.header is None else fresh.from_header(series.header)
    header = header.as_byteswapped("<")
    zooms = header.get_zooms()[3:4] if header["dim"][0] >= 4 else (1.0,)
    if kind == "float32" or series.header is None:
        header.set_data_dtype(np.float32)
        header.set_slope_inter(1, 0)
    else:
        header.set_slope_inter(*_scaling(series.header))
    header.set_data_shape(shape)
    if series.header is None or grid != series.grid or (grid.header and grid.header.matrix == "qform"):
        nifti.place(header, grid.affine)
    if grid != series.grid:
        for name in OF_SLICES:
            header[name] = 0
    header["pixdim"][4] = zooms[0]
    header["intent_code"] = 0
    header["cal_max"] = header["cal_min"] = 0
    header["vox_offset"] = header.single_vox_offset
    header["magic"] = header.single_magic + b"\0"
    return header


def _scaling(header: Nifti1Header) -> tuple[float, float]:
    """Slope and intercept of the stored values; 1 and 0 of a header that has none."""
    slope, inter = header.get_slope_inter()
    return (1.0 if slope is None else float(slope)), float(inter or 0)


def write_series(volumes: Iterable[Floats], header: Nifti1Header, path: Path, *, compressed: bool) -> None:
    """Write volumes (I, J, K) one after the other behind a header.

    Parameters
    ----------
    volumes : iterable
        float32, as many as the header says.
    header : Nifti1Header
        See `moved_header`.
    path : Path
        The file.
    compressed : bool
        Whether by gzip.
    """
    slope, inter = _scaling(header)
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("wb"))
        if compressed:
            file = stack.enter_context(gzip_writer(file))
        file.write(header.binaryblock)
        file.write(bytes(int(header.single_vox_offset) - len(header.binaryblock)))
        for volume in volumes:
            file.write(_stored(volume, header.get_data_dtype(), slope, inter).data.cast("B"))


def _stored(volume: Floats, kind: np.dtype[Any], slope: float, inter: float) -> NDArray[Any]:
    """Values as the file holds them, the first axis fastest: rounded and clamped where they are whole numbers."""
    values = volume if (slope, inter) == (1, 0) else (volume.astype(np.float64) - inter) / slope
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
    return nifti.c_ordered(values.T, kind)


def image_of(volumes: Iterable[Floats], grid: Grid, count: int, name: str) -> Image:
    """Volumes as one image (I, J, K, T) float32."""
    data = np.empty((*grid.shape, count), np.float32)
    for number, volume in enumerate(volumes):
        data[..., number] = volume
    return Image(data, grid.bare, name)
