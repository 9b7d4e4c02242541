"""Inverses: of fields on a backend, and of any transform, with their errors."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend, select
from warpline.space.fields import to_voxels, to_world
from warpline.space.fit import fit_affine
from warpline.space.grid import Grid, apply_affine
from warpline.space.preimages import check_finite_field, solve_preimages
from warpline.space.transforms import Affine, Chain, Displacement, Part, Transform

FIELD_TOLERANCE = 0.01
"""Residual in voxels at which the inversion of a voxel of a half-map stops."""

FIELD_ITERATIONS = 80
"""Most fixed-point steps per voxel of a half-map."""

TOLERANCE = 1e-3
"""Residual in voxels at which the inversion of a voxel stops."""

ITERATIONS = 300
"""Most fixed-point steps per voxel."""

_LARGE_AFFINE = 0.1
"""Share of the grid's extent by which a field may move its corners before its affine part is inverted apart."""

_WARNED_ERROR = 0.5
"""99th percentile of the error, in voxels, above which an inverse is worth a warning."""

_log = logging.getLogger(__name__)


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


# -- fields on a backend ----------------------------------------------------------------------------------------------


def invert_field(
    field: Array,
    backend: Backend,
    start: Array | None = None,
    *,
    tolerance: float = FIELD_TOLERANCE,
    iterations: int = FIELD_ITERATIONS,
) -> tuple[Array, float]:
    """The inverse of ``x -> x + field(x)`` (3, I, J, K) in voxels, and the largest residual in voxels.

    Damped fixed-point iteration per voxel (after Chen et al. 2008, doi:10.1118/1.2816107), from `start` or -field.
    """
    out, residual = backend.empty(field.shape), backend.empty((1,))
    start = -field if start is None else start
    backend.invert(field, start=start, tolerance=tolerance, iterations=iterations, out=out, out_residual=residual)
    return out, float(backend.download(residual)[0])


def invert_field_asynchronously(field: Array, backend: Backend) -> Array:
    """The inverse alone, without waiting for its residual; see `invert_field`."""
    out = backend.empty(field.shape)
    backend.invert(field, start=-field, tolerance=FIELD_TOLERANCE, iterations=FIELD_ITERATIONS, out=out)
    return out


def field_inverse_error(
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


# -- any transform ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Inversion:
    """An inverse and how good it is.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        Moving world to fixed world.
    errors : tuple of InverseError
        Of each displacement, in the order of the original: how far a voxel of its grid is from itself after the
        inverse and then the original, in voxels, over those that stay on the grid.
    folded : int
        Voxels where an original field folds space; the inverse is one of several there.
    """

    transform: Transform
    errors: tuple[InverseError, ...] = ()
    folded: int = 0


def invert(transform: Transform, *, backend: str | Backend | None = None, threads: int | None = None) -> Transform:
    """The inverse of any transform; fields without a known inverse are inverted numerically.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        Fixed world to moving world.
    backend, threads
        Where it is computed, as in `warpline.backends.select`.

    Returns
    -------
    Affine, Displacement or Chain
        Moving world to fixed world. The inverse of a displacement lies on its grid and knows the original as its own
        inverse. A field that also holds a large affine part becomes a chain of that part's inverse and a field.
        Folds and errors above half a voxel are logged as warnings; `inversion` returns the figures.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> warpline.invert(warpline.Affine(np.diag([2.0, 1.0, 1.0, 1.0]))).matrix.diagonal()
    array([0.5, 1. , 1. , 1. ])
    """
    return inversion(transform, backend=backend, threads=threads).transform


def inversion(transform: Transform, *, backend: str | Backend | None = None, threads: int | None = None) -> Inversion:
    """As `invert`, with the error of every field that was inverted."""
    if isinstance(transform, Affine):
        return Inversion(~transform)
    chosen = select(backend, threads)
    with chosen.session():
        found = [_inverted(part, chosen) for part in Chain.of(transform).parts]
    whole = Chain.of(*(one.transform for one in reversed(found)))
    errors = tuple(error for one in found for error in one.errors)
    result = Inversion(
        found[0].transform if isinstance(transform, Displacement) else whole, errors, sum(one.folded for one in found)
    )
    if result.folded:
        _log.warning("the field folds in %d voxels; its inverse is one of several there", result.folded)
    if any(error.p99 > _WARNED_ERROR for error in errors):
        _log.warning("the inverse misses by %.2f voxels at the 99th percentile", max(error.p99 for error in errors))
    return result


def _inverted(part: Part, backend: Backend) -> Inversion:
    if isinstance(part, Affine):
        return Inversion(~part)
    check_finite_field(part)
    affine_part = None if part.inverse_field is not None else _affine_part(part)
    field = part.field if affine_part is None else _without_affine(part, affine_part)
    forward = backend.upload(to_voxels(field, part.grid))
    if part.inverse_field is not None:
        back = backend.upload(to_voxels(part.inverse_field, part.grid))
    else:
        back, _ = invert_field(forward, backend, tolerance=TOLERANCE, iterations=ITERATIONS)
        back = _refined(Displacement(field, part.grid), forward, back, backend)
    error = field_inverse_error(forward, back, backend, _stays_on_grid(backend.download(back), part.grid))
    folded = int(np.count_nonzero(~(backend.download(backend.jacobian(forward)) > 0)))
    if part.inverse_field is not None:
        return Inversion(~part, (error,), folded)
    inverse = Displacement(to_world(backend.download(back), part.grid), part.grid, field)
    return Inversion(inverse if affine_part is None else Chain((~affine_part, inverse)), (error,), folded)


def _refined(part: Displacement, forward: Array, back: Array, backend: Backend) -> Array:
    """The inverse with a slower search at the voxels, few as a rule, where the backend's iteration did not converge."""
    inverse, missed = backend.download(back), _round_trip_lengths(forward, back, backend)
    unconverged = np.argwhere((missed > 2 * TOLERANCE) & _stays_on_grid(inverse, part.grid))
    if not unconverged.size:
        return back
    at = (slice(None), *unconverged.T)
    start = apply_affine(part.grid.affine, unconverged + inverse[at].T)
    found = solve_preimages(part, start, apply_affine(part.grid.affine, unconverged))
    refined = inverse.copy()
    refined[at] = (apply_affine(part.grid.inverse_affine, found) - unconverged).T
    return backend.upload(refined)


def _round_trip_lengths(forward: Array, back: Array, backend: Backend) -> NDArray[np.float32]:
    """Length in voxels of what is left after the inverse and then the original."""
    left = backend.download(backend.compose(forward, back, out=backend.empty(forward.shape)))
    lengths: NDArray[np.float32] = np.sqrt(np.einsum("c...,c...->...", left, left))
    return lengths


def _stays_on_grid(back: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    """Voxels that a field in voxels does not lead off the grid."""
    reached = np.indices(grid.shape, dtype=np.float32) + back
    last = np.array(grid.shape).reshape(3, 1, 1, 1) - 1
    inside: NDArray[np.bool_] = np.all((reached >= 0) & (reached <= last), axis=0)
    return inside


def _affine_part(part: Displacement) -> Affine | None:
    """The affine map nearest to a displacement, when that moves the corners of its grid far; else None."""
    affine_part, corners = fit_affine(part), part.grid.corners()
    if affine_part is None:
        return None
    drift = np.linalg.norm(affine_part.map_points(corners) - corners, axis=1).max()
    return affine_part if drift > _LARGE_AFFINE * np.linalg.norm(np.ptp(corners, axis=0)) else None


def _without_affine(part: Displacement, affine_part: Affine) -> NDArray[np.float32]:
    """The field w with ``x + u(x) = affine_part(x + w(x))``, in mm."""
    linear = np.linalg.inv(affine_part.matrix)
    shift = linear @ part.grid.affine - part.grid.affine
    lattice = np.indices(part.grid.shape, dtype=np.float32)
    rest = np.tensordot(linear[:3, :3], part.field, 1) + np.tensordot(shift[:3, :3], lattice, 1)
    return np.asarray(rest + shift[:3, 3].reshape(3, 1, 1, 1), dtype=np.float32)
