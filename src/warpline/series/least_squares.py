"""One volume fitted to a reference by least squares: Gauss-Newton steps whose derivatives are those of the reference.

The volume is ``I(A x) = a R(x) + b`` but for noise, with an offset b and a gain a that may change linearly with x, at
points x of the reference R. A small map W about the centre of the points changes R by ``J d``, so that the parameters d
of the W that is still missing, a and b are the least squares solution of ``I(A x) = a R + J (a d) + b``. Its normal
matrix depends on the reference only; a step costs one interpolation at the points, and ``A <- A W(d)^-1`` (inverse
compositional algorithm; Baker & Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd). Where residuals have long
tails, steps are taken again with weights (iteratively reweighted least squares).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.splines import SplineOptions
from warpline.errors import InputError
from warpline.series.freedoms import FREEDOMS, Vector, about
from warpline.space.grid import Grid, Matrix, apply_affine

CUBIC = SplineOptions.of(3, "mirror", 0.0, True)

MOST_STEPS = 30
"""Gauss-Newton steps after which a fit has failed."""

LEAST_INSIDE = 0.3
"""Share of the points inside the volume below which a fit has failed: less of a brain does not fix six parameters."""

LEAST_GAIN = 0.05
"""Gain below which a fit has failed: the volume shows nothing of the reference there."""

MARGIN = 1.0
"""Standard deviations of the smoothing that points keep from the faces of a volume, where it has seen less."""

THICK = 4.0
"""Standard deviations along an axis from which its faces are kept away from; of thin stacks nothing would be left."""

SHADING = 3
"""Gains along three axes, as a head that moves to the coil: left out, a change by a tenth is taken for a shift."""

RIDGE = 0.01
"""Penalty on these gains, as a share of the squares of the reference: where a smooth object shows a shift and shading
alike, it is a shift."""

BISQUARE = 4.685
"""Robust standard deviations from which a point does not count (Tukey's bisquare; 95 % efficient on normal noise)."""

OUTLIERS = 0.02
"""Share of points beyond that from which a volume is fitted again with weights: dropped slices, ghosts, an eye."""

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
    points : (3, N) float64
        Voxels of the reference, on the backend.
    slopes : (P + 5, N) float32
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
    slopes: Array
    normal: Matrix
    inverse: Matrix
    centre: Vector
    radius: float


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
    smooth = backend.smooth(reference, _sigma(level, grid))
    gradient = backend.download(backend.gradient(smooth))
    counted = np.zeros(grid.shape, bool)
    lattice = tuple(slice(None, None, level.stride if n > 2 * level.stride else 1) for n in grid.shape)
    counted[lattice] = weights[lattice]
    for axis, (low, high) in enumerate(_bounds(grid, level)):
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
    rows = np.stack([*slopes, *(values * offset for offset in offsets), values, np.ones(len(where))])
    normal = rows @ rows.T
    return Target(
        grid, level, freedom, backend.upload(np.ascontiguousarray(where.T, np.float64)),
        backend.upload(rows.astype(np.float32)), normal, _pseudoinverse(normal), centre, radius,
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


def _pseudoinverse(normal: Matrix) -> Matrix:
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


def smoothed_coefficients(volume: Array, grid: Grid, level: FitLevel, backend: Backend) -> Array:
    """Spline coefficients of a volume (I, J, K) float32, smoothed as a level asks for; both on the backend."""
    return backend.spline_coefficients(backend.smooth(volume, _sigma(level, grid)), CUBIC)


def _sigma(level: FitLevel, grid: Grid) -> tuple[float, float, float]:
    i, j, k = (level.sigma / size if n > 1 else 0.0 for size, n in zip(grid.voxel_size, grid.shape, strict=True))
    return i, j, k


def fit(coefficients: Array, grid: Grid, target: Target, start: Matrix, backend: Backend) -> Fit:
    """Where a volume is, searched from `start`.

    Parameters
    ----------
    coefficients : (I, J, K) float64
        See `smoothed_coefficients`, of the same level as the target.
    grid : Grid
        Of the volume.
    target : Target
        What it is fitted to.
    start : (4, 4)
        Reference world to volume world.
    backend : Backend
        Of the arrays.
    """
    found, residuals = _search(coefficients, grid, target, start, backend=backend)
    if found.steps == 0 or (found.converged and _share_of_outliers(residuals) < OUTLIERS):
        return found
    robust, _ = _search(coefficients, grid, target, found.matrix, backend=backend, robust=True)
    return replace(robust, correlation=found.correlation) if robust.converged else found


def _search(
    coefficients: Array, grid: Grid, target: Target, start: Matrix, *, backend: Backend, robust: bool = False
) -> tuple[Fit, NDArray[np.float32]]:
    """Gauss-Newton steps until they are short, with weights of the residuals of each step where `robust`.

    Returns
    -------
    (Fit, (N,) float32)
        What is found, and residuals at the points inside; those of the others are 0.
    """
    _, small_map = FREEDOMS[target.freedom]
    values, found = backend.empty(target.points.shape[1:], np.float32), Fit(start)
    weights, residuals = None, np.zeros(0, np.float32)
    for step in range(1, MOST_STEPS + 1):
        where = _mapped(target.points, target.grid.voxel_map_to(grid, found.matrix), backend)
        backend.interpolate(coefficients, where, CUBIC, out=values)
        inside = _inside(where, grid, target.level)
        sums = _sums(values, inside, weights, target, backend)
        solution = sums.inverse @ sums.moments
        gain = float(solution[-2])
        if sums.share < LEAST_INSIDE or not gain > LEAST_GAIN:
            return replace(found, correlation=sums.correlation, converged=False), residuals
        parameters = solution[: -2 - SHADING] / gain
        change = about(target.centre, small_map(parameters, target.radius))
        short = float(np.linalg.norm(parameters)) < target.level.tolerance
        is_last = short and (weights is not None or not robust)
        found = Fit(found.matrix @ np.linalg.inv(change), gain, sums.correlation, step, is_last)
        if robust or is_last:
            residuals = _residuals(values, inside, solution, target, backend)
        if is_last:
            break
        weights = backend.upload(_bisquare(residuals)) if robust else None
    return found, residuals


def _residuals(values: Array, inside: Array, solution: Vector, target: Target, backend: Backend) -> NDArray[np.float32]:
    """What a solution leaves of the values at the points inside."""
    left = values - solution[-1]
    for factor, row in zip(solution[:-1].tolist(), target.slopes, strict=False):
        left = left - np.float32(factor) * row
    return np.asarray(backend.download((left * inside).astype(np.float32)))


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


@dataclass(frozen=True, eq=False)
class _Sums:
    """Right side of the normal equations, inverse of their matrix, correlation, and share of the points inside."""

    moments: Vector
    inverse: Matrix
    correlation: float
    share: float


def _sums(values: Array, inside: Array, weights: Array | None, target: Target, backend: Backend) -> _Sums:
    """Sums over the points inside the volume, of which `inside` is 1, weighted where there are weights."""
    total, share = int(values.size), float(inside.sum()) / values.size
    if share == 0:
        return _Sums(np.zeros(len(target.normal)), target.inverse, 0.0, 0.0)
    inverse, slopes, count = target.inverse, target.slopes, float(total)
    normal: Matrix = target.normal
    if share < 1 or weights is not None:
        counts = inside if weights is None else inside * weights
        slopes, count = slopes * counts, float(counts.sum(dtype=np.float64))
        normal = np.stack([backend.download((slopes * row).sum(axis=1, dtype=np.float64)) for row in target.slopes])
        inverse = _pseudoinverse(normal)
    moments = backend.download((slopes * values).sum(axis=1, dtype=np.float64))
    squares = float((slopes[-1] * values * values).sum(dtype=np.float64))
    return _Sums(moments, inverse, _correlation(normal, moments, squares, count), share)


def _correlation(normal: Matrix, moments: Vector, squares: float, count: float) -> float:
    """Of the values with the reference, from sums."""
    mean, reference = moments[-1] / count, normal[-2, -1] / count
    spread = (squares / count - mean**2) * (normal[-2, -2] / count - reference**2)
    return float((moments[-2] / count - mean * reference) / np.sqrt(spread)) if spread > 0 else 0.0


def _mapped(points: Array, matrix: Matrix, backend: Backend) -> Array:
    mapped = backend.empty(points.shape, np.float64)
    for row, out in zip(matrix.tolist(), mapped, strict=False):
        out[...] = row[0] * points[0] + row[1] * points[1] + row[2] * points[2] + row[3]
    return mapped


def _inside(where: Array, grid: Grid, level: FitLevel) -> Array:
    """Which points (3, N) lie in the volume, and not at its faces: float32, 0 or 1."""
    inside = where[0] == where[0]
    for axis, (low, high) in enumerate(_bounds(grid, level)):
        inside = inside & (where[axis] >= low) & (where[axis] <= high)
    return inside.astype(np.float32)


def _bounds(grid: Grid, level: FitLevel) -> list[tuple[float, float]]:
    """Lowest and highest coordinate along each axis at which a volume counts."""
    sizes = zip(_sigma(level, grid), grid.shape, strict=True)
    margins = (MARGIN * s if n > max(1, THICK * s) else -0.5 for s, n in sizes)
    return [(margin, n - 1 - margin) for margin, n in zip(margins, grid.shape, strict=True)]
