"""A reference as fits to it see it: its points, its derivatives there, and its normal matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.errors import InputError
from warpline.series.freedoms import FREEDOMS, Vector
from warpline.space.grid import Grid, Matrix, apply_affine

MARGIN = 1.0
"""Standard deviations of the smoothing that points keep from the faces of a volume, where it has seen less."""

THICK = 4.0
"""Standard deviations along an axis from which its faces are kept away from; of thin stacks nothing would be left."""

SHADING = 3
"""Gains along three axes, as a head that moves to the coil: left out, a change by a tenth is taken for a shift."""

RIDGE = 0.01
"""Penalty on these gains, as a share of the squares of the reference: where a smooth object shows a shift and shading
alike, it is a shift."""

FLAT = 1e-6
"""Eigenvalue of the normal matrix, relative to the largest, of a direction that the reference does not show, such as a
move out of the plane of a single slice; nothing moves along it."""

SHARE = 0.98
"""Share of the squared gradient of the reference that the points keep: flat ones cost as much as edges."""

MOST_POINTS = 40000
"""Points of the finest fit: more take longer, and their noise is no longer what limits it."""


@dataclass(frozen=True)
class FitLevel:
    """How finely a fit looks.

    Parameters
    ----------
    sigma : float
        Gaussian that reference and volume are smoothed with, in mm.
    stride : int
        Every n-th voxel of the reference along each axis is a point.
    tolerance : float
        Length in mm of a step, at the radius of the points, below which the fit has converged.
    """

    sigma: float
    stride: int
    tolerance: float


@dataclass(frozen=True, eq=False)
class Target:
    """A reference as fits to it see it.

    Parameters
    ----------
    grid : Grid
        Of the reference.
    level : FitLevel
        How finely it is seen.
    freedom : str
        Key of `FREEDOMS`.
    points : (N, 3) float32
        Voxels of the reference, on the backend.
    rows : (N, P + 5) float32
        Derivatives of the reference by the parameters, the reference times offsets from the centre, the reference, and
        1, on the backend.
    normal, inverse : (P + 5, P + 5)
        Normal matrix, and its pseudoinverse with the penalty on shading.
    centre : (3,)
        Of the points, in world.
    radius : float
        Root mean square distance of the points from it, mm.
    """

    grid: Grid
    level: FitLevel
    freedom: str
    points: Array
    rows: Array
    normal: Matrix
    inverse: Matrix
    centre: Vector
    radius: float


def prepare_target(
    reference: Array, weights: NDArray[np.bool_], grid: Grid, level: FitLevel, *, freedom: str, backend: Backend
) -> Target:
    """Points, derivatives and normal matrix of a reference.

    Parameters
    ----------
    reference : (I, J, K) float32
        On the backend.
    weights : (I, J, K) bool
        Where it counts.
    grid : Grid
        Of both.
    level : FitLevel
        How finely to look.
    freedom : str
        Key of `FREEDOMS`.
    backend : Backend
        Of the array, and of the result.

    Raises
    ------
    InputError
        When the reference is constant there.
    """
    smooth = backend.smooth(reference, sigma_of(level, grid))
    gradient = backend.download(backend.gradient(smooth))
    counted = np.zeros(grid.shape, bool)
    lattice = tuple(slice(None, None, level.stride if n > 2 * level.stride else 1) for n in grid.shape)
    counted[lattice] = weights[lattice]
    for axis, (low, high) in enumerate(bounds_of(grid, level)):
        at = np.arange(grid.shape[axis])
        counted[(slice(None),) * axis + ((at < low) | (at > high),)] = False
    where = _steepest(gradient, np.argwhere(counted))
    if not len(where):
        raise InputError("the reference shows nothing by which volumes could be aligned; choose another one, or a mask")
    world = apply_affine(grid.affine, where)
    centre = world.mean(axis=0)
    radius = float(np.sqrt(np.square(world - centre).sum(axis=1).mean())) or 1.0
    voxels = tuple(where.T)
    slopes_in_world = np.linalg.inv(grid.affine[:3, :3]).T @ gradient[(slice(None), *voxels)].astype(np.float64)
    derivatives, _ = FREEDOMS[freedom]
    values = backend.download(smooth)[voxels].astype(np.float64)
    offsets = list(((world - centre) / radius).T)
    slopes = derivatives(list(slopes_in_world), offsets)
    rows = np.stack([*slopes, *(values * offset for offset in offsets), values, np.ones(len(where))], axis=-1)
    normal = rows.T @ rows
    return Target(
        grid, level, freedom, backend.upload(where.astype(np.float32)), backend.upload(rows.astype(np.float32)),
        normal, pseudoinverse(normal), centre, radius,
    )  # fmt: skip


def _steepest(gradient: NDArray[np.float32], where: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the voxels (N, 3) that hold nearly all of the squared gradient, in their order."""
    steepness = np.square(gradient[(slice(None), *where.T)], dtype=np.float64).sum(axis=0)
    if not steepness.any():
        return where[:0]
    order = np.argsort(-steepness, kind="stable")
    total = np.cumsum(steepness[order])
    count = min(int(np.searchsorted(total, SHARE * total[-1])) + 1, MOST_POINTS)
    return where[np.sort(order[:count])]


def pseudoinverse(normal: Matrix) -> Matrix:
    """Of a normal matrix with its penalty.

    Rows and columns are scaled to about the same length, those of the motion by one factor: what a reference does not
    show is a direction across several of them, as out of the plane of an oblique slice, and has to stay orthogonal.
    """
    penalty = np.zeros(len(normal))
    penalty[-2 - SHADING : -2] = RIDGE * normal[-2, -2]
    penalised = normal + np.diag(penalty)
    squares = np.diag(penalised).copy()
    for block in (slice(None, -2 - SHADING), slice(-2 - SHADING, -2)):
        squares[block] = squares[block].mean()
    scale = np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny))
    lengths = np.outer(scale, scale)
    return np.asarray(np.linalg.pinv(penalised / lengths, rcond=FLAT, hermitian=True) / lengths, dtype=np.float64)


def sigma_of(level: FitLevel, grid: Grid) -> tuple[float, float, float]:
    """The Gaussian of a level in voxels, 0 along axes of one voxel."""
    i, j, k = (level.sigma / size if n > 1 else 0.0 for size, n in zip(grid.voxel_size, grid.shape, strict=True))
    return i, j, k


def bounds_of(grid: Grid, level: FitLevel) -> list[tuple[float, float]]:
    """Lowest and highest coordinate along each axis at which a volume counts."""
    sizes = zip(sigma_of(level, grid), grid.shape, strict=True)
    margins = (MARGIN * s if n > max(1, THICK * s) else -0.5 for s, n in sizes)
    return [(margin, n - 1 - margin) for margin, n in zip(margins, grid.shape, strict=True)]
