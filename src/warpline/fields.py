"""Displacement fields on a device: move between grids and units, invert, measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.geometry import Grid
from warpline.transforms import Displacement

INVERSE_TOLERANCE = 0.01
"""Residual in voxels at which the inversion of a voxel stops."""

INVERSE_ITERATIONS = 80
"""Most fixed-point steps per voxel."""


@dataclass(frozen=True)
class InverseError:
    """How far ``inverse(forward(x))`` misses x, in voxels."""

    mean: float
    p99: float
    largest: float

    @classmethod
    def of(cls, statistics: NDArray[np.float64]) -> InverseError:
        """From `Backend.statistics` at 0.99 of the lengths missed."""
        _, mean, p99, largest = statistics.tolist()
        return cls(mean, p99, largest)


def to_voxels(field: Array, grid: Grid) -> Array:
    """World displacement (3, I, J, K) in mm, on the host or a device, to displacement in voxels of `grid`."""
    return _rotated(field, grid.inverse_affine[:3, :3])


def to_world(field: Array, grid: Grid) -> Array:
    """Displacement (3, I, J, K) in voxels of `grid`, on the host or a device, to world displacement in mm."""
    return _rotated(field, grid.affine[:3, :3])


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


def invert(
    field: Array,
    backend: Backend,
    start: Array | None = None,
    *,
    tolerance: float = INVERSE_TOLERANCE,
    iterations: int = INVERSE_ITERATIONS,
) -> tuple[Array, float]:
    """The inverse of ``x -> x + field(x)`` (3, I, J, K) in voxels, and the largest residual in voxels.

    Damped fixed-point iteration per voxel (after Chen et al. 2008, doi:10.1118/1.2816107), from `start` or -field.
    """
    out, residual = backend.empty(field.shape), backend.empty((1,))
    start = -field if start is None else start
    backend.invert(field, start=start, tolerance=tolerance, iterations=iterations, out=out, out_residual=residual)
    return out, float(backend.download(residual)[0])


def inverse_of(field: Array, backend: Backend) -> Array:
    """The inverse alone, which nothing waits for; see `invert`."""
    out = backend.empty(field.shape)
    backend.invert(field, start=-field, tolerance=INVERSE_TOLERANCE, iterations=INVERSE_ITERATIONS, out=out)
    return out


def inverse_error(
    forward: Array, inverse: Array, backend: Backend, mask: NDArray[np.bool_] | None = None
) -> InverseError:
    """Round-trip error of two fields (3, I, J, K) in voxels of one grid, where `mask` is true."""
    missed = backend.compose(forward, inverse, out=backend.empty(forward.shape))
    return round_trip_error(missed, backend, None if mask is None else backend.upload(mask.astype(np.uint8)))


def round_trip_error(missed: Array, backend: Backend, mask: Array | None = None) -> InverseError:
    """Mean, 99th percentile and largest length of displacements (3, I, J, K) that ought to be zero.

    Only where `mask` (I, J, K), uint8 on the backend, is not 0.
    """
    return InverseError.of(backend.statistics(missed, 0.99, mask=mask))


def jacobian_determinant(warp: Displacement, backend: Backend) -> NDArray[np.float32]:
    """``det(I + du/dx)`` of a world displacement at every voxel of its grid, (I, J, K).

    The determinant does not depend on coordinates, so it is computed in voxels: exact on oblique and flipped grids.
    """
    with backend.session():
        voxels = backend.upload(to_voxels(warp.field, warp.grid))
        return cast("NDArray[np.float32]", backend.download(backend.jacobian(voxels)))
