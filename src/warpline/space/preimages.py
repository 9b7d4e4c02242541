"""Preimages: solve T(x) = y for points y by damped fixed-point and Newton iterations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError
from warpline.space.fit import fit_affine
from warpline.space.grid import Grid, apply_affine
from warpline.space.jacobian import jacobian_at
from warpline.space.transforms import Affine, Chain, Displacement, Part, Transform

Doubles = NDArray[np.float64]

TOLERANCE = 1e-6
"""Residual in mm at which the search for a point stops."""

_FIRST_STEPS = 8
"""Whole fixed-point steps before Newton's method is tried."""

_DAMPED = ((60, 0.4), (200, 0.15))
"""(iterations, damping factor) of each fallback stage; the last converges where space is stretched twelvefold."""

_NEWTON_STEPS = 10

_LEAST_DETERMINANT = 1e-3
"""Determinant below which a Newton step is not taken."""

_RIM = 0.499
"""Voxels beyond the outer voxel centres to which a search is confined; the field ends at 0.5."""


@dataclass(frozen=True, eq=False)
class Preimages:
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


def preimages(transform: Transform, targets: ArrayLike) -> Preimages:
    """The points that `transform` takes to `targets` (..., 3): affines by inversion, fields by search.

    A point on the grid of a field is preferred to one beyond it, where the field is zero and everything stays.
    For each field, from its known inverse or else from its affine part: fixed-point steps, then Newton's method, then
    damped fixed-point steps and Newton's method for the points that are left.
    """
    targets = np.asarray(targets, dtype=np.float64)
    points = targets.reshape(-1, 3)
    for part in reversed(Chain.of(transform).parts):
        points = _preimages_of_part(part, points)
    residual = np.linalg.norm(Chain.of(transform).map_points(points) - targets.reshape(-1, 3), axis=1)
    return Preimages(points.reshape(targets.shape), residual.reshape(targets.shape[:-1]))


def _preimages_of_part(part: Part, targets: Doubles) -> Doubles:
    if isinstance(part, Affine):
        return part.inverse().map_points(targets)
    check_finite_field(part)
    guess = _guess(part, targets)
    first, stays = part.grid.contains(guess), part.grid.contains(targets)
    start = np.where(first[:, None], guess, targets)
    sought = first | stays
    points = targets.copy()
    if sought.any():
        points[sought] = solve_preimages(part, start[sought], targets[sought])
    lost = ~stays & (np.linalg.norm(part.map_points(points) - targets, axis=1) > TOLERANCE)
    points[lost] = targets[lost]
    return points


def _guess(part: Displacement, targets: Doubles) -> Doubles:
    if part.inverse_field is not None:
        return part.inverse().map_points(targets)
    affine = fit_affine(part)
    return targets if affine is None else affine.inverse().map_points(targets)


def solve_preimages(part: Displacement, start: Doubles, targets: Doubles) -> Doubles:
    """Points on the grid of `part`, from `start` (N, 3), that it takes to `targets` (N, 3), or nearest to them."""
    search = _Search(part, targets, start.copy())
    search.fixed_point(_FIRST_STEPS, 1.0)
    search.newton()
    for times, damping in _DAMPED:
        search.fixed_point(times, damping)
    search.newton()
    return search.points


@dataclass(eq=False)
class _Search:
    """Iterates x of the equations ``T(x) = y`` of a displacement T, points and targets (N, 3)."""

    part: Displacement
    targets: Doubles
    points: Doubles

    def __post_init__(self) -> None:
        self._active, self._residuals = np.arange(len(self.points)), np.zeros((0, 3))
        self._update_residuals()

    def fixed_point(self, times: int, damping: float) -> None:
        """Damped fixed-point steps ``x <- x + damping (y - T(x))``."""
        for _ in range(times):
            self._move(self.points[self._active] + damping * self._residuals)

    def newton(self) -> None:
        """Newton's method; a point that it brings no nearer goes back to where it was."""
        began, before, distance = self._active, self.points[self._active].copy(), _lengths(self._residuals)
        for _ in range(_NEWTON_STEPS):
            jacobian = jacobian_at(self.part, self.points[self._active])
            jacobian[np.abs(np.linalg.det(jacobian)) < _LEAST_DETERMINANT] = np.eye(3)
            self._move(self.points[self._active] + np.linalg.solve(jacobian, self._residuals[..., None])[..., 0])
        now = _lengths(self.targets[began] - self.part.map_points(self.points[began]))
        worse = ~(now <= distance)
        self.points[began[worse]] = before[worse]
        self._active = began
        self._update_residuals()

    def _move(self, points: Doubles) -> None:
        self.points[self._active] = _confined(self.part.grid, points)
        self._update_residuals()

    def _update_residuals(self) -> None:
        """Residuals ``y - T(x)`` of the points that have not converged; the others are left alone from now on."""
        missed = self.targets[self._active] - self.part.map_points(self.points[self._active])
        far = _lengths(missed) > TOLERANCE
        self._active, self._residuals = self._active[far], missed[far]


def _lengths(vectors: Doubles) -> Doubles:
    lengths: Doubles = np.linalg.norm(vectors, axis=1)
    return lengths


def check_finite_field(part: Displacement) -> None:
    """Refuse to invert a field that is not known everywhere.

    Raises
    ------
    InputError
        Naming the number of voxels.
    """
    if not np.isfinite(part.field).all():
        count = int((~np.isfinite(part.field).all(axis=0)).sum())
        raise InputError(f"the field has no displacement (NaN or infinity) at {count} voxels; fill or crop it first")


def _confined(grid: Grid, points: Doubles) -> Doubles:
    voxels = apply_affine(grid.inverse_affine, points)
    confined = np.clip(voxels, -_RIM, np.array(grid.shape) - 1 + _RIM)
    if grid.flat:
        confined[:, 2] = voxels[:, 2]
    return apply_affine(grid.affine, confined)
