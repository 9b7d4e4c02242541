"""DIPY's interpolation rules, in terms of SciPy's modes.

Linear: values fade to zero over one voxel beyond the outermost centres (SciPy's ``grid-constant``). Nearest: zero
beyond the outermost centres, ties go to the lower voxel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from warpline import resampling
from warpline.errors import UsageError
from warpline.space.grid import Matrix

INTERPOLATIONS = ("linear", "nearest")

_SLAB = 2**20
"""Most voxels whose coordinates are in memory at once."""


def check_interpolation(interpolation: str) -> None:
    """Refuse a name that is not in `INTERPOLATIONS`.

    Raises
    ------
    UsageError
        Listing what is allowed.
    """
    if interpolation not in INTERPOLATIONS:
        raise UsageError(f"interpolation {interpolation!r} is unknown; choose from {', '.join(INTERPOLATIONS)}")


def sample_affine(
    image: NDArray[Any], matrix: Matrix, shape: tuple[int, ...], interpolation: str, dtype: DTypeLike | None = None
) -> NDArray[Any]:
    """``out(i) = image(matrix i)`` for every voxel i of `shape`; `dtype` is that of `image` when None."""
    linear, shift = matrix[:-1, :-1], matrix[:-1, -1]
    if interpolation == "linear":
        return resampling.affine_transform(image, linear, shift, shape, dtype, order=1, mode="grid-constant")
    last = np.array(image.shape) - 1.0
    return resampling.affine_transform(_reverse(image), -linear, last - shift, shape, dtype, order=0)


def sample_at(image: NDArray[Any], voxels: NDArray[np.float64], interpolation: str, dtype: DTypeLike) -> NDArray[Any]:
    """Values of `image` at `voxels` (dim, ...)."""
    if interpolation == "linear":
        return resampling.map_coordinates(image, voxels, dtype, order=1, mode="grid-constant")
    last = np.array(image.shape, dtype=np.float64).reshape(-1, *[1] * (voxels.ndim - 1)) - 1
    return resampling.map_coordinates(_reverse(image), last - voxels, dtype, order=0)


def displacement_at(field: NDArray[np.float32], voxels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement (dim, ...) of `field` (..., dim), linear between voxels, at `voxels` (dim, ...) of its grid."""
    return np.stack([sample_at(u, voxels, "linear", np.float64) for u in np.moveaxis(field, -1, 0)])


def map_voxels(matrix: Matrix, voxels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map `voxels` (dim, ...) by a homogeneous matrix (dim + 1, dim + 1)."""
    shift = matrix[:-1, -1].reshape(-1, *[1] * (voxels.ndim - 1))
    mapped: NDArray[np.float64] = np.tensordot(matrix[:-1, :-1], voxels, axes=1) + shift
    return mapped


def slabs_of(shape: tuple[int, ...]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Slices of the first axis, each with the indices (dim, ...) of its voxels."""
    thickness = max(_SLAB // int(np.prod(shape[1:])), 1)
    for start in range(0, shape[0], thickness):
        stop = min(start + thickness, shape[0])
        voxels = np.indices((stop - start, *shape[1:]), dtype=np.float64)
        voxels[0] += start
        yield slice(start, stop), voxels


def _reverse(image: NDArray[Any]) -> NDArray[Any]:
    """Reverse every axis, which turns SciPy's ties (up) into DIPY's (down)."""
    return image[(slice(None, None, -1),) * image.ndim]
