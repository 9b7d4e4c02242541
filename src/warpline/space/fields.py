"""Displacement fields on a backend: between voxels and mm, from one grid to another, beyond the box they cover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.space.grid import Grid


def to_voxels(field: Array, grid: Grid) -> Array:
    """World displacement (3, I, J, K) in mm, on the host or a device, to displacement in voxels of `grid`."""
    return _rotated(field, grid.inverse_affine[:3, :3])


def to_world(field: Array, grid: Grid) -> Array:
    """Displacement (3, I, J, K) in voxels of `grid`, on the host or a device, to world displacement in mm."""
    return _rotated(field, grid.affine[:3, :3])


def gradient_along_world(volume: Array, grid: Grid, backend: Backend) -> Array:
    """Slopes of a volume (I, J, K) along x, y, z per mm, by the chain rule on voxel differences: (3, I, J, K)."""
    return _rotated(backend.gradient(volume), grid.inverse_affine[:3, :3].T)


def _rotated(field: Array, matrix: NDArray[np.float64]) -> Array:
    rotated = np.empty_like(field, order="C")
    for row, target in zip(matrix.astype(np.float32), rotated, strict=True):
        used = [(weight, field[axis]) for axis, weight in enumerate(row) if weight != 0]
        np.multiply(used[0][1], used[0][0], out=target)
        for weight, component in used[1:]:
            target += weight * component
    return rotated


def move_to_grid(field: Array, old: Grid, new: Grid, backend: Backend, *, out: Array | None = None) -> Array:
    """A field in voxels of `old`, resampled on `new` and expressed in its voxels; both share their axes."""
    if old == new:
        if out is not None:
            out[...] = field
        return field if out is None else out
    moved = backend.sample_field(field, new.voxel_map_to(old), new.shape, out=out)
    for axis, ratio in enumerate(old.voxel_size / new.voxel_size):
        if ratio != 1:
            moved[axis] *= np.float32(ratio)
    return moved


def extend(field: Array, old: Grid, new: Grid, reach: float, backend: Backend) -> Array:
    """A field on the box `old` carried on to the larger `new` of equal voxels, fading to zero over `reach` voxels.

    Beyond the box the field continues as a constant along the outward normal times a cosine taper, so that
    neither steps nor folds appear at its faces.
    """
    matrix = new.voxel_map_to(old)
    extended = backend.sample_field(field, matrix, new.shape)
    for axis in range(3):
        position = np.arange(new.shape[axis]) + matrix[axis, 3]
        beyond = np.maximum(np.maximum(-position, position - (old.shape[axis] - 1)), 0)
        weight = 0.5 + 0.5 * np.cos(np.pi * np.minimum(beyond / reach, 1))
        if weight.min() < 1:
            shape = [1, 1, 1, 1]
            shape[axis + 1] = -1
            extended *= backend.upload(weight.astype(np.float32).reshape(shape))
    return extended
