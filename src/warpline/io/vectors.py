"""Vector images: three components per voxel, in one of the frames that files of the field use."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.images.checks import check_finite
from warpline.io import itk_images, nifti
from warpline.io.atomic import write_atomic
from warpline.io.compression import compress, peek
from warpline.io.images import as_image, check_name, read_image, write_by_itk
from warpline.io.lps import SIGNS
from warpline.io.scaling import apply_scaling
from warpline.io.zarr_names import is_zarr
from warpline.space.grid import Grid, Matrix

FRAMES: dict[str, Callable[[Grid], Matrix]] = {
    "ras": lambda grid: np.eye(3),
    "lps": lambda grid: np.diag(SIGNS),
    "voxel": lambda grid: grid.affine[:3, :3] / grid.voxel_size,
}
"""What the components are along, to the matrix that takes them to world R, A, S."""


BY_THEMSELVES = "none"
"""In place of a frame: the components are resampled one by one, like the volumes of a series."""

_VECTORS, _TENSORS = "vectors", "matrices"
_INTENTS = {1004: _TENSORS, 1005: _TENSORS, nifti.INTENT_DISPLACEMENT: _VECTORS, nifti.INTENT_VECTOR: _VECTORS}
_INTENTS.update(dict.fromkeys(range(2006, 2010), _VECTORS))  # of FSL's FNIRT
"""NIfTI's codes of images with several components per voxel, to what these are."""

_TURNED = {
    _VECTORS: "name what they are along, --vectors {}, so that they are turned with the anatomy",
    _TENSORS: "turning these with the anatomy is not offered",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """A vector image as stored.

    Parameters
    ----------
    image : Image
        (I, J, K, 3), components as stored.
    intent : int
        NIfTI's code for what the numbers are.
    fifth_axis : bool
        Whether the components lie along the fifth axis, as NIfTI wants vectors, instead of the fourth.
    """

    image: Image
    intent: int
    fifth_axis: bool


def read_series(source: Any, name: str, geometry: str | None = None) -> Image:
    """An image, or a series of volumes, that does not say that it holds vectors or matrices.

    Three volumes whose header says nothing are a warning: vectors are often stored like that.

    Parameters
    ----------
    source : path, nibabel image, Image, array or (array, affine)
        As for `warpline.io.images.as_image`.
    name : str
        What messages call an image without a file.
    geometry : {"sform", "qform"}, optional
        As for `warpline.io.images.as_image`.

    Raises
    ------
    UsageError
        When its header says that it holds vectors or matrices; the error says how to carry it.
    InputError
        When it cannot be read.
    """
    kind, frames = _kind(source), ", ".join(FRAMES)
    if kind is not None:
        called = source if isinstance(source, (str, os.PathLike)) else source.get_filename() or name
        raise UsageError(
            f"{called} holds {kind[0]} ({kind[1]}), not a series of volumes: {_TURNED[kind[0]].format(frames)}; "
            f"--vectors {BY_THEMSELVES} carries each component by itself"
        )
    image = as_image(source, name, geometry)
    if image.data.shape[3:] == (3,):
        _log.warning(
            "%s has three volumes, carried one by one: if they are components of vectors, say what these are along "
            "(--vectors %s); --vectors %s says that they are none",
            *(image.name, frames, BY_THEMSELVES),
        )
    return image


def read_components(source: Any, name: str, geometry: str | None = None) -> Image:
    """An image whose components are resampled one by one, as a series of volumes, along any axis.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    if not isinstance(source, (str, os.PathLike)):
        return as_image(source, name, geometry)
    path = Path(source)
    header = nifti.parse_header(peek(path, nifti.HEAD_SIZE), str(path))
    shape: tuple[int, ...] = () if header is None else header.get_data_shape()
    stored = nifti.read(path, geometry) if len(shape) == 5 and shape[3] == 1 < shape[4] else None
    if stored is None or stored.array.dtype.kind not in "biuf":
        return as_image(source, name, geometry)
    values = apply_scaling(stored.array[:, :, :, 0], nifti.scaling(stored.header, str(path)), str(path))
    return Image(values, stored.grid, str(path))


def _kind(source: Any) -> tuple[str, str] | None:
    """What the components of an image are by its header, and the entry that states it; None without one."""
    from_file = isinstance(source, (str, os.PathLike))
    if from_file and is_zarr(source):
        return None
    if from_file and itk_images.matches(Path(source)):
        return (_VECTORS, "by its header") if itk_images.holds_vectors(Path(source)) else None
    if from_file:
        header = nifti.parse_header(peek(Path(source), nifti.HEAD_SIZE), str(source))
    else:
        header = getattr(source, "header", None)
    intent = int(header["intent_code"]) if isinstance(header, Nifti1Header) else 0
    return (_INTENTS[intent], f"NIfTI intent {intent}") if intent in _INTENTS else None


def read_vectors(path: str | os.PathLike[str], geometry: str | None = None) -> StoredVectors:
    """Read a NIfTI file of shape (I, J, K, 3) or (I, J, K, 1, 3), or NRRD or MetaImage with three components per voxel.

    `geometry` is that of `warpline.io.images.read_image`.

    Raises
    ------
    InputError
        When the file is missing, damaged, or of another shape or kind of number.
    """
    path = Path(path)
    if is_zarr(path):
        raise InputError(f"{path}: vectors are read from NIfTI, NRRD and MetaImage, not from OME-Zarr; convert it")
    if itk_images.matches(path):
        return _read_by_itk(path)
    stored = nifti.read(path, geometry)
    if stored is None or stored.array.shape[3:] not in ((3,), (1, 3)) or stored.array.dtype.kind not in "iuf":
        found = "no NIfTI file" if stored is None else f"of shape {stored.array.shape}, {stored.array.dtype}"
        raise InputError(f"{path} is {found}; vectors need shape (I, J, K, 3) or (I, J, K, 1, 3) of real numbers")
    values = apply_scaling(stored.array, nifti.scaling(stored.header, str(path)), str(path))
    values = np.asarray(values, dtype=np.float32).reshape(*stored.array.shape[:3], 3)
    if not np.isfinite(values).all():
        raise InputError(f"{path} has NaN or infinite vectors; write 0 where there is none")
    image = Image(np.ascontiguousarray(values), stored.grid, str(path))
    return StoredVectors(image, int(stored.header["intent_code"]), stored.array.ndim == 5)


def _read_by_itk(path: Path) -> StoredVectors:
    image = read_image(path)
    if image.data.shape[3:] != (3,):
        raise InputError(f"{path} has shape {image.data.shape}; vectors need three components per voxel")
    check_finite(image)
    return StoredVectors(Image(image.data.astype(np.float32), image.grid, str(path)), nifti.INTENT_VECTOR, True)


def write_vectors(image: Image, path: str | os.PathLike[str], like: StoredVectors) -> None:
    """Write a vector image with the axes and the intent of `like`, complete or not at all.

    Raises
    ------
    UsageError
        When the name is none of an image.
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    check_name(path)
    if is_zarr(path):
        raise UsageError(f"{path}: vectors are not written to OME-Zarr; let the name end in .nii.gz")
    if path.suffix in itk_images.SUFFIXES:
        write_by_itk(image, path, vectors=True)
        return
    data = image.data[:, :, :, None] if like.fifth_axis else image.data
    content = nifti.encode(data, image.affine, intent=like.intent)
    write_atomic(path, compress(content) if path.suffix == ".gz" else content)


def to_world(image: Image, frame: str) -> Image:
    """The vectors of an image (I, J, K, 3) along world R, A, S, from those along `frame`, a key of `FRAMES`.

    Raises
    ------
    UsageError
        When the frame is not known.
    """
    return _turn(image, _matrix(frame, image.grid))


def from_world(image: Image, frame: str) -> Image:
    """The vectors of an image (I, J, K, 3) along `frame`, from those along world R, A, S."""
    return _turn(image, np.linalg.inv(_matrix(frame, image.grid)).astype(np.float64, copy=False))


def _matrix(frame: str, grid: Grid) -> Matrix:
    if frame not in FRAMES:
        raise UsageError(f"frame of vectors is {frame!r}; choose from {', '.join(FRAMES)}")
    return FRAMES[frame](grid)


def _turn(image: Image, matrix: Matrix) -> Image:
    if image.data.ndim != 4 or image.data.shape[3] != 3:
        raise InputError(f"{image.name} has shape {image.data.shape}; three components per voxel, (I, J, K, 3), needed")
    turned = np.asarray(image.data, dtype=np.float32) @ matrix.T.astype(np.float32)
    return Image(turned, image.grid, image.name)
