"""Vector images: three components per voxel, in one of the frames that files of the field use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpline.errors import InputError, UsageError
from warpline.geometry import Grid, Matrix
from warpline.image import Image
from warpline.io import nifti
from warpline.io.atomic import write_atomic
from warpline.io.compression import compress
from warpline.io.images import check_name
from warpline.io.scaling import scaled

FRAMES: dict[str, Callable[[Grid], Matrix]] = {
    "ras": lambda grid: np.eye(3),
    "lps": lambda grid: np.diag([-1.0, -1.0, 1.0]),
    "voxel": lambda grid: grid.affine[:3, :3] / grid.voxel_size,
}
"""What the components are along, to the matrix that takes them to world R, A, S."""


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """A vector image as it lies on disk.

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


def read_vectors(path: str | os.PathLike[str], geometry: str | None = None) -> StoredVectors:
    """Read a NIfTI file of shape (I, J, K, 3) or (I, J, K, 1, 3); `geometry` as in `warpline.io.images.read_image`.

    Raises
    ------
    InputError
        When the file is missing, damaged, or of another shape or kind of number.
    """
    path = Path(path)
    stored = nifti.read(path, geometry)
    if stored is None or stored.array.shape[3:] not in ((3,), (1, 3)) or stored.array.dtype.kind not in "iuf":
        found = "no NIfTI file" if stored is None else f"of shape {stored.array.shape}, {stored.array.dtype}"
        raise InputError(f"{path} is {found}; vectors need shape (I, J, K, 3) or (I, J, K, 1, 3) of real numbers")
    values = scaled(stored.array, nifti.scaling(stored.header, str(path)), str(path))
    values = np.asarray(values, dtype=np.float32).reshape(*stored.array.shape[:3], 3)
    if not np.isfinite(values).all():
        raise InputError(f"{path} has NaN or infinite vectors; write 0 where there is none")
    image = Image(np.ascontiguousarray(values), stored.grid, str(path))
    return StoredVectors(image, int(stored.header["intent_code"]), stored.array.ndim == 5)


def write_vectors(image: Image, path: str | os.PathLike[str], like: StoredVectors) -> None:
    """Write a vector image with the axes and the intent of `like`, complete or not at all.

    Raises
    ------
    UsageError
        When the name ends neither in ``.nii`` nor in ``.nii.gz``.
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    check_name(path)
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
    return _turned(image, _matrix(frame, image.grid))


def from_world(image: Image, frame: str) -> Image:
    """The vectors of an image (I, J, K, 3) along `frame`, from those along world R, A, S."""
    return _turned(image, np.linalg.inv(_matrix(frame, image.grid)).astype(np.float64, copy=False))


def _matrix(frame: str, grid: Grid) -> Matrix:
    if frame not in FRAMES:
        raise UsageError(f"frame of vectors is {frame!r}; choose from {', '.join(FRAMES)}")
    return FRAMES[frame](grid)


def _turned(image: Image, matrix: Matrix) -> Image:
    if image.data.ndim != 4 or image.data.shape[3] != 3:
        raise InputError(f"{image.name} has shape {image.data.shape}; three components per voxel, (I, J, K, 3), needed")
    turned = np.asarray(image.data, dtype=np.float32) @ matrix.T.astype(np.float32)
    return Image(turned, image.grid, image.name)
