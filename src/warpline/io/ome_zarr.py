"""Images in OME-Zarr (OME-NGFF 0.4 and 0.5), read and written through the zarr library.

Of a pyramid one level is read, and of that only the channel and the time that are asked for. What is written is a
pyramid of version 0.4, which most tools read, with the anatomical orientation of every axis.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError, UsageError
from warpline.extras import install_command
from warpline.images import Image
from warpline.io import ngff_metadata, zarr_names, zarr_stores
from warpline.io.folder_drafts import write_folder
from warpline.io.image_formats import with_clear_errors
from warpline.io.ngff_metadata import Axis, Level, Multiscale
from warpline.space.grid import Grid, GridHeader, check_affine, lies_in_plane

CHUNK = (64, 64, 64)
"""Voxels of a chunk along each axis; of 2-D images four times as many. Smaller ones are many files, larger ones slow to
look at."""
SMALLEST = 64
"""Voxels along the longest axis below which a pyramid has no further level."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """Which array is read, and how its axes lie."""

    files: zarr_stores.Files
    pyramid: Multiscale
    level: Level
    shape: tuple[int, ...]
    selection: tuple[int | slice, ...]

    @property
    def kept(self) -> list[str]:
        """Names of the axes that are read."""
        return [
            axis.name for axis, one in zip(self.pyramid.axes, self.selection, strict=True) if isinstance(one, slice)
        ]

    def grid(self, name: str) -> Grid:
        """Of the level."""
        sizes = dict(zip((axis.name for axis in self.pyramid.axes), self.shape, strict=True))
        affine = check_affine(self.pyramid.affine(self.level), f"{name}: the scale and translation of its metadata")
        flat = "z" not in sizes and lies_in_plane(affine)
        notes = tuple(f"{name}: {note}" for note in self.pyramid.notes())
        header = GridHeader("none", notes=notes) if notes else None
        return Grid((sizes["x"], sizes["y"], sizes.get("z", 1)), affine, flat, header)


def read(path: Path) -> Image:
    """Read one level.

    Parameters
    ----------
    path : Path
        A store, or with a choice, see `warpline.io.zarr_names.parse`.

    Raises
    ------
    InputError
        When zarr is not installed, the store is damaged or is no OME-Zarr image, or has several channels and none is
        chosen.
    UsageError
        When the level or the index that is chosen does not exist.
    """
    _check_installed(path)
    plan = _plan(path)
    values = with_clear_errors(path, lambda: zarr_stores.read_array(plan.files, plan.level.path, plan.selection))
    order = [plan.kept.index(name) for name in ("x", "y", "z", "t") if name in plan.kept]
    data = values.transpose(order)
    data = data if "z" in plan.kept else data[:, :, None]
    native = data.astype(data.dtype.newbyteorder("="), copy=False)
    return Image(np.ascontiguousarray(native), plan.grid(str(path)), str(path))


def read_grid(path: Path) -> Grid:
    """The grid of a level; no values are read."""
    _check_installed(path)
    return _plan(path).grid(str(path))


def write(image: Image, path: Path) -> None:
    """Write an image as a pyramid, complete or not at all.

    Whole numbers are thinned from level to level, so that labels stay labels; others are averaged.

    Raises
    ------
    InputError
        When zarr is not installed, the grid is oblique, or the type is none of zarr.
    UsageError
        When the name is that of an archive, or makes a choice.
    OutputError
        When it cannot be written.
    """
    if not os.fspath(path).lower().endswith(".zarr"):
        raise UsageError(f"{path} is no name for an OME-Zarr image to write; let it end in .ome.zarr")
    _check_installed(path)
    if image.data.dtype.name not in zarr_stores.KINDS:
        raise InputError(f"data of type {image.data.dtype} cannot be stored in OME-Zarr; convert it to float32")
    axes = ngff_metadata.oriented_axes(image.grid)
    write_folder(path, lambda folder: _fill(folder, image, axes, path.name.partition(".")[0]), _is_store)


def _is_store(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (".zgroup", "zarr.json"))


def _plan(path: Path) -> _Plan:
    name = zarr_names.parse(path)
    files = zarr_stores.open_files(name.store)
    attributes = with_clear_errors(path, lambda: zarr_stores.group_attributes(files))
    pyramid = ngff_metadata.parse(attributes, str(name.store))
    if name.level >= len(pyramid.levels):
        raise UsageError(f"{path}: there is no level {name.level}; it has levels 0 to {len(pyramid.levels) - 1}")
    level = pyramid.levels[name.level]
    shape = with_clear_errors(path, lambda: zarr_stores.layout(files, level.path)).shape
    if len(shape) != len(pyramid.axes):
        raise InputError(f"{path} is damaged: {len(pyramid.axes)} axes in its metadata, {len(shape)} in its array")
    return _Plan(files, pyramid, level, shape, _selection(pyramid.axes, shape, name.chosen, path))


def _selection(
    axes: tuple[Axis, ...], shape: tuple[int, ...], chosen: dict[str, int], path: Path
) -> tuple[int | slice, ...]:
    unknown = chosen.keys() - {axis.name for axis in axes}
    if unknown:
        raise UsageError(f"{path}: it has no axis {min(unknown)}; leave the choice out")
    selection: list[int | slice] = []
    for axis, size in zip(axes, shape, strict=True):
        index = chosen.get(axis.name, 0 if axis.name in ("c", "t") and size == 1 else None)
        if index is not None and index >= size:
            raise UsageError(f"{path}: there is no {axis.name}={index}; it has {axis.name}=0 to {size - 1}")
        if axis.name == "c" and index is None:
            raise InputError(f"{path} has {size} channels; choose one, as in {path.name.partition(':')[0]}:0,c=0")
        selection.append(slice(None) if index is None else index)
    return tuple(selection)


def _check_installed(path: Path) -> None:
    try:
        from zarr.storage import LocalStore  # noqa: F401 - which version 2 has not
    except ImportError:
        raise InputError(
            f"{path}: OME-Zarr is read and written by zarr, version 3 or newer, which is not installed; "
            f"{install_command('zarr')}"
        ) from None


def _fill(folder: Path, image: Image, axes: list[tuple[Axis, float, float]], name: str) -> None:
    """Write every level and the metadata into an empty folder."""
    import zarr
    from numcodecs import Blosc

    series = image.data.ndim == 4
    kept = axes[:2] if image.grid.flat else axes
    values = image.data[:, :, 0] if image.grid.flat else image.data
    scale, start = (np.array([one[n] for one in kept]) for n in (1, 2))
    chunks = tuple(edge * (4 if image.grid.flat else 1) for edge in CHUNK[: len(kept)])
    group, levels = zarr.open_group(folder, mode="w", zarr_format=2), list[Level]()
    while True:
        stored = values.transpose(range(values.ndim)[::-1])
        array = group.create_array(
            str(len(levels)),
            shape=stored.shape,
            dtype=stored.dtype.newbyteorder("<"),
            chunks=tuple(min(n, m) for n, m in zip(stored.shape, ((1,) if series else ()) + chunks, strict=True)),
            compressors=Blosc(cname="zstd", clevel=5, shuffle=Blosc.SHUFFLE),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        array[:] = stored
        both = (np.append(one, last)[::-1] if series else one[::-1] for one, last in ((scale, 1.0), (start, 0.0)))
        levels.append(Level(str(len(levels)), *both))
        if max(values.shape[: len(kept)]) <= SMALLEST:
            break
        values, scale, start = _coarser(values, scale, start)
    stored_axes = [*([Axis("t")] if series else []), *(axis for axis, _, _ in kept[::-1])]
    group.attrs.update(ngff_metadata.encode(stored_axes, levels, name))


def _coarser(
    values: NDArray[np.generic], scale: NDArray[np.float64], start: NDArray[np.float64]
) -> tuple[NDArray[np.generic], NDArray[np.float64], NDArray[np.float64]]:
    """Half as many voxels along every axis of several: every second one of whole numbers, else the mean of two."""
    averaged = values.dtype.kind == "f"
    for axis in range(len(scale)):
        size = values.shape[axis]
        if size == 1:
            continue
        first, second = (np.take(values, range(at, size - size % 2, 2), axis) for at in (0, 1))
        values = ((first.astype(np.float64) + second) / 2).astype(values.dtype) if averaged else first
        start = start + (scale / 2 * (np.arange(len(scale)) == axis) if averaged else 0)
        scale = np.where(np.arange(len(scale)) == axis, 2 * scale, scale)
    return values, scale, start
