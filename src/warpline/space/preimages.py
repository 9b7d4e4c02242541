"""Where points came from: the inverse of any transform at single points, by search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError
from warpline.space import Affine, Chain, Displacement, Part, Transform
from warpline.space.fit import nearest_affine
from warpline.space.grid import Grid, apply_affine

Doubles = NDArray[np.float64]

TOLERANCE = 1e-6
"""Residual in mm at which the search for a point stops."""

_FIRST_STEPS = 8
"""Whole fixed-point steps before Newton's method is tried."""

_PATIENT = ((60, 0.4), (200, 0.15))
"""Fixed-point steps, and the share that is taken of each, for the points that are left after it: the last settle where
space is stretched twelvefold."""

_NEWTON_STEPS = 10
_DIFFERENCE = 1e-3
"""Half a step of the differences of Newton's method, in mm."""

_LEAST_SLOPE = 1e-3
"""Determinant below which a Newton step is not taken."""

_RIM = 0.499
"""Voxels beyond the outer voxel centres to which a search is confined; the field ends at 0.5."""


@dataclass(frozen=True, eq=False)
class Origins:
    """Points that a transform takes to given ones.

    Parameters
    ----------
    points : (..., 3)
        World, RAS+ mm.
    residual : (...)
        Distance in mm by which each misses its target.
    """

    points: Doubles
    residual: Doubles


def origins(transform: Transform, targets: ArrayLike) -> Origins:
    """The points that `transform` takes to `targets` (..., 3): affines by inversion, fields by search.

    A point on the grid of a field is preferred to one beyond it, where the field is zero and everything stays.
    The search starts from the known inverse of the field, else from its affine part: fixed-point steps, then Newton's
    method, and both again with patience for what is left.
    """
    targets = np.asarray(targets, dtype=np.float64)
    points = targets.reshape(-1, 3)
    for part in reversed(Chain.of(transform).parts):
        points = _before(part, points)
    residual = np.linalg.norm(Chain.of(transform).map_points(points) - targets.reshape(-1, 3), axis=1)
    return Origins(points.reshape(targets.shape), residual.reshape(targets.shape[:-1]))


def _before(part: Part, targets: Doubles) -> Doubles:
    if isinstance(part, Affine):
        return part.inverse().map_points(targets)
    check_known(part)
    guess = _guess(part, targets)
    first, stays = on_grid(part.grid, guess), on_grid(part.grid, targets)
    start = np.where(first[:, None], guess, targets)
    sought = first | stays
    points = targets.copy()
    if sought.any():
        points[sought] = settled(part, start[sought], targets[sought])
    lost = ~stays & (np.linalg.norm(part.map_points(points) - targets, axis=1) > TOLERANCE)
    points[lost] = targets[lost]
    return points


def _guess(part: Displacement, targets: Doubles) -> Doubles:
    if part.inverse_field is not None:
        return part.inverse().map_points(targets)
    trend = nearest_affine(part)
    return targets if trend is None else trend.inverse().map_points(targets)


def settled(part: Displacement, start: Doubles, targets: Doubles) -> Doubles:
    """Points on the grid of `part`, from `start` (N, 3), that it takes to `targets` (N, 3), or nearest to them."""
    search = _Search(part, targets, start.copy())
    search.step(_FIRST_STEPS, 1.0)
    search.newton()
    for times, share in _PATIENT:
        search.step(times, share)
    search.newton()
    return search.points


@dataclass(eq=False)
class _Search:
    """Points on their way to where a displacement takes them to their targets, all (N, 3)."""

    part: Displacement
    targets: Doubles
    points: Doubles

    def __post_init__(self) -> None:
        self._active, self._missed = np.arange(len(self.points)), np.zeros((0, 3))
        self._look()

    def step(self, times: int, share: float) -> None:
        """Fixed-point steps of a share of what is missed."""
        for _ in range(times):
            self._move(self.points[self._active] + share * self._missed)

    def newton(self) -> None:
        """Newton's method; a point that it brings no nearer goes back to where it was."""
        began, before, distance = self._active, self.points[self._active].copy(), _lengths(self._missed)
        for _ in range(_NEWTON_STEPS):
            slope = _slope(self.part, self.points[self._active])
            slope[np.abs(np.linalg.det(slope)) < _LEAST_SLOPE] = np.eye(3)
            self._move(self.points[self._active] + np.linalg.solve(slope, self._missed[..., None])[..., 0])
        now = _lengths(self.targets[began] - self.part.map_points(self.points[began]))
        worse = ~(now <= distance)
        self.points[began[worse]] = before[worse]
        self._active = began
        self._look()

    def _move(self, points: Doubles) -> None:
        self.points[self._active] = _confined(self.part.grid, points)
        self._look()

    def _look(self) -> None:
        """Keep what is not there yet."""
        missed = self.targets[self._active] - self.part.map_points(self.points[self._active])
        far = _lengths(missed) > TOLERANCE
        self._active, self._missed = self._active[far], missed[far]


def _lengths(vectors: Doubles) -> Doubles:
    lengths: Doubles = np.linalg.norm(vectors, axis=1)
    return lengths


def _slope(part: Displacement, points: Doubles) -> Doubles:
    """Derivative of the map, (N, 3, 3), by central differences."""
    steps = np.eye(3) * _DIFFERENCE
    columns = [(part.map_points(points + step) - part.map_points(points - step)) / (2 * _DIFFERENCE) for step in steps]
    return np.stack(columns, axis=-1)


def check_known(part: Displacement) -> None:
    """Refuse to invert a field that is not known everywhere.

    Raises
    ------
    InputError
        Naming the number of voxels.
    """
    if not np.isfinite(part.field).all():
        count = int((~np.isfinite(part.field).all(axis=0)).sum())
        raise InputError(f"the field has no displacement (NaN or infinity) at {count} voxels; fill or crop it first")


def on_grid(grid: Grid, points: Doubles) -> NDArray[np.bool_]:
    """Which world points (N, 3) lie within the outer voxel faces of a grid."""
    voxels = apply_affine(grid.inverse_affine, points)
    if grid.flat:
        voxels[:, 2] = 0
    within: NDArray[np.bool_] = np.all((voxels >= -0.5) & (voxels < np.array(grid.shape) - 0.5), axis=1)
    return within


def _confined(grid: Grid, points: Doubles) -> Doubles:
    voxels = apply_affine(grid.inverse_affine, points)
    confined = np.clip(voxels, -_RIM, np.array(grid.shape) - 1 + _RIM)
    if grid.flat:
        confined[:, 2] = voxels[:, 2]
    return apply_affine(grid.affine, confined)
