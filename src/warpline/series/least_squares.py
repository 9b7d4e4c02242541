"""Volumes fitted to a reference by least squares: Gauss-Newton steps whose derivatives are those of the reference.

A volume is ``I(A x) = a R(x) + b`` but for noise, with an offset b and a gain a that may change linearly with x, at
points x of the reference R. A small map W about the centre of the points changes R by ``J d``, so that the parameters d
of the W that is still missing, a and b are the least squares solution of ``I(A x) = a R + J (a d) + b``. Its normal
matrix depends on the reference only; a step costs one interpolation at the points, and ``A <- A W(d)^-1`` (inverse
compositional algorithm; Baker & Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd). Where residuals have long
tails, steps are taken again with weights (iteratively reweighted least squares).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.motion import Placement
from warpline.series.freedoms import FREEDOMS, Vector, about
from warpline.series.targets import SHADING, FitLevel, Target, bounds_of, pseudoinverse, sigma_of
from warpline.space.grid import Grid, Matrix

MOST_STEPS = 30
"""Gauss-Newton steps after which a fit has failed."""

LEAST_INSIDE = 0.3
"""Share of the points inside the volume below which a fit has failed: less of a brain does not fix six parameters."""

LEAST_GAIN = 0.05
"""Gain below which a fit has failed: the volume shows nothing of the reference there."""

BISQUARE = 4.685
"""Robust standard deviations from which a point does not count (Tukey's bisquare; 95 % efficient on normal noise)."""

OUTLIERS = 0.02
"""Share of points beyond that from which a volume is fitted again with weights: dropped slices, ghosts, an eye."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Where a volume is.

    Parameters
    ----------
    matrix : (4, 4)
        Reference world to volume world, RAS+ mm.
    gain : float
        Of the volume, relative to the reference.
    correlation : float
        Between the volume and the reference at the points, beside the fit.
    steps : int
        Gauss-Newton steps taken.
    converged : bool
        Whether the last one was short enough, and most points inside the volume.
    """

    matrix: Matrix
    gain: float = 1.0
    correlation: float = 0.0
    steps: int = 0
    converged: bool = False


def smoothed_coefficients(volumes: Array, grid: Grid, level: FitLevel, backend: Backend) -> Array:
    """Spline coefficients of volumes (S, I, J, K) float32, smoothed as a level asks for; both on the backend."""
    return backend.motion.coefficients(volumes, sigma_of(level, grid))


def fit(
    coefficients: Array, grid: Grid, target: Target, starts: Sequence[tuple[int, Matrix]], backend: Backend
) -> list[Fit]:
    """Where volumes are, all searched for at once.

    Parameters
    ----------
    coefficients : (S, I, J, K) float64
        See `smoothed_coefficients`, of the same level as the target.
    grid : Grid
        Of the volumes.
    target : Target
        What they are fitted to.
    starts : sequence of (int, (4, 4))
        For each fit the index of its volume, and the reference world to volume world that it is searched from.
    backend : Backend
        Of the arrays.
    """
    search = _Search(coefficients, grid, target, backend)
    found, residuals = search.run(starts)
    doubtful = [
        n for n, one in enumerate(found)
        if one.steps and not (one.converged and _share_of_outliers(residuals[n]) < OUTLIERS)
    ]  # fmt: skip
    weighted, _ = search.run([(starts[n][0], found[n].matrix) for n in doubtful], robust=True)
    for n, again in zip(doubtful, weighted, strict=True):
        if again.converged:
            found[n] = replace(again, correlation=found[n].correlation)
    return found


class _Search:
    """Gauss-Newton steps of several fits at once.

    Parameters
    ----------
    coefficients, grid, target, backend
        See `fit`.
    """

    def __init__(self, coefficients: Array, grid: Grid, target: Target, backend: Backend) -> None:
        self._coefficients, self._grid, self._target, self._backend = coefficients, grid, target, backend
        self._bounds = np.array(bounds_of(grid, target.level), np.float64)

    def run(
        self, starts: Sequence[tuple[int, Matrix]], *, robust: bool = False
    ) -> tuple[list[Fit], NDArray[np.float32]]:
        """Steps until they are short, with weights by the residuals of each step where `robust`.

        Returns
        -------
        (list of Fit, (B, N) float32)
            What is found, and residuals at the points inside; those of the others are 0.
        """
        found, going, weights = [Fit(start) for _, start in starts], list(range(len(starts))), None
        residuals = np.zeros((len(found), len(self._target.points)), np.float32)
        for step in range(1, MOST_STEPS + 1):
            if not going:
                break
            values, solved = self._solved([(starts[n][0], found[n].matrix) for n in going], weights)
            for n, one in zip(going, solved, strict=True):
                found[n] = self._after(found[n], one, step, may_end=weights is not None or not robust)
            sound = [row for row, one in enumerate(solved) if one.is_sound]
            seen = [row for row in sound if robust or found[going[row]].converged]
            residuals[[going[row] for row in seen]] = self._residuals(values, solved, seen)
            going = [going[row] for row in sound if not found[going[row]].converged]
            weights = (
                self._backend.upload(np.stack([_bisquare(residuals[n]) for n in going])) if robust and going else None
            )
        return found, residuals

    def _after(self, fit: Fit, solved: _Solved, step: int, *, may_end: bool) -> Fit:
        """A fit after a step; as it was where the volume shows too little of the reference."""
        if not solved.is_sound:
            return replace(fit, correlation=solved.correlation, converged=False)
        target, (_, small_map) = self._target, FREEDOMS[self._target.freedom]
        parameters = solved.vector[: -2 - SHADING] / solved.gain
        change = about(target.centre, small_map(parameters, target.radius))
        short = float(np.linalg.norm(parameters)) < target.level.tolerance
        return Fit(fit.matrix @ np.linalg.inv(change), solved.gain, solved.correlation, step, short and may_end)

    def _solved(self, places: Sequence[tuple[int, Matrix]], weights: Array | None) -> tuple[Array, list[_Solved]]:
        """Values of volumes at the points under maps of the world, and the least squares solutions there."""
        target, motion, count = self._target, self._backend.motion, len(self._target.points)
        matrices = np.stack([target.grid.voxel_map_to(self._grid, matrix) for _, matrix in places])
        placement = Placement(np.array([volume for volume, _ in places]), matrices, self._bounds)
        values = self._backend.empty((len(places), count), np.float32)
        sums = motion.sums(self._coefficients, target.points, target.rows, placement, weights=weights, values=values)
        normals = np.broadcast_to(target.normal, (len(places), *target.normal.shape)).copy()
        partly = [n for n, inside in enumerate(sums[:, -1]) if weights is not None or inside < count]
        if partly:
            some = None if weights is None else weights[partly]
            normals[partly] = motion.gram(target.rows, values[partly], weights=some)
        return values, [
            _solve(target, normal, row, is_whole=n not in partly)
            for n, (normal, row) in enumerate(zip(normals, sums, strict=True))
        ]

    def _residuals(self, values: Array, solved: Sequence[_Solved], rows: list[int]) -> NDArray[np.float32]:
        """What the solutions of some rows leave of the values at the points inside."""
        if not rows:
            return np.zeros((0, len(self._target.points)), np.float32)
        return self._backend.motion.residuals(
            values[rows], self._target.rows, np.stack([solved[row].vector for row in rows])
        )


@dataclass(frozen=True, eq=False)
class _Solved:
    """Least squares solution of a step, correlation of volume and reference, share of the points inside the volume."""

    vector: Vector
    correlation: float
    share: float

    @property
    def gain(self) -> float:
        return float(self.vector[-2])

    @property
    def is_sound(self) -> bool:
        """Whether the volume shows the reference where it is."""
        return self.share >= LEAST_INSIDE and self.gain > LEAST_GAIN


def _solve(target: Target, normal: Matrix, sums: Vector, *, is_whole: bool) -> _Solved:
    """The solution of the normal equations, from `MotionOperations.sums`; `is_whole` where all points count alike."""
    *moments, squares, weight, inside = sums
    if inside == 0:
        return _Solved(np.zeros(len(normal)), 0.0, 0.0)
    inverse = target.inverse if is_whole else pseudoinverse(normal)
    correlation = _correlation(normal, np.array(moments), squares, weight)
    return _Solved(inverse @ np.array(moments), correlation, inside / len(target.points))


def _scaled(residuals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Residuals in robust standard deviations."""
    spread = 1.4826 * float(np.median(np.abs(residuals[residuals != 0]))) if residuals.any() else 0.0
    return np.asarray(residuals / np.float32(spread or 1.0), dtype=np.float32)


def _share_of_outliers(residuals: NDArray[np.float32]) -> float:
    return float((np.abs(_scaled(residuals)) > BISQUARE).mean()) if residuals.size else 0.0


def _bisquare(residuals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tukey's weights."""
    inner = 1 - np.square(_scaled(residuals) / np.float32(BISQUARE))
    return np.asarray(np.square(np.maximum(inner, 0)), dtype=np.float32)


def _correlation(normal: Matrix, moments: Vector, squares: float, count: float) -> float:
    """Of the values with the reference, from sums."""
    mean, reference = moments[-1] / count, normal[-2, -1] / count
    spread = (squares / count - mean**2) * (normal[-2, -2] / count - reference**2)
    return float((moments[-2] / count - mean * reference) / np.sqrt(spread)) if spread > 0 else 0.0
