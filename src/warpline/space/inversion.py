"""The inverse of any transform, with its error."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend, select
from warpline.space import Affine, Chain, Displacement, Part, Transform, fields
from warpline.space.fields import InverseError
from warpline.space.fit import nearest_affine
from warpline.space.grid import Grid, apply_affine
from warpline.space.preimages import check_known, settled

TOLERANCE = 1e-3
"""Residual in voxels at which the inversion of a voxel stops."""

ITERATIONS = 300
"""Most fixed-point steps per voxel."""

_DRIFT = 0.1
"""Share of the grid's extent by which a field may move its corners before its affine part is inverted apart."""

_BAD = 0.5
"""99th percentile of the error, in voxels, above which an inverse is worth a warning."""

_log = logging.getLogger(__name__)


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
    if any(error.p99 > _BAD for error in errors):
        _log.warning("the inverse misses by %.2f voxels at the 99th percentile", max(error.p99 for error in errors))
    return result


def _inverted(part: Part, backend: Backend) -> Inversion:
    if isinstance(part, Affine):
        return Inversion(~part)
    check_known(part)
    trend = None if part.inverse_field is not None else _affine_part(part)
    field = part.field if trend is None else _without(part, trend)
    forward = backend.upload(fields.to_voxels(field, part.grid))
    if part.inverse_field is not None:
        back = backend.upload(fields.to_voxels(part.inverse_field, part.grid))
    else:
        back, _ = fields.invert(forward, backend, tolerance=TOLERANCE, iterations=ITERATIONS)
        back = _mended(Displacement(field, part.grid), forward, back, backend)
    error = fields.inverse_error(forward, back, backend, _stayed(backend.download(back), part.grid))
    folded = int(np.count_nonzero(~(backend.download(backend.jacobian(forward)) > 0)))
    if part.inverse_field is not None:
        return Inversion(~part, (error,), folded)
    inverse = Displacement(fields.to_world(backend.download(back), part.grid), part.grid, field)
    return Inversion(inverse if trend is None else Chain((~trend, inverse)), (error,), folded)


def _mended(part: Displacement, forward: Array, back: Array, backend: Backend) -> Array:
    """The inverse with a slower search at the voxels, few as a rule, where the steps of the backend did not settle."""
    inverse, missed = backend.download(back), _missed(forward, back, backend)
    stubborn = np.argwhere((missed > 2 * TOLERANCE) & _stayed(inverse, part.grid))
    if not stubborn.size:
        return back
    at = (slice(None), *stubborn.T)
    start = apply_affine(part.grid.affine, stubborn + inverse[at].T)
    found = settled(part, start, apply_affine(part.grid.affine, stubborn))
    mended = inverse.copy()
    mended[at] = (apply_affine(part.grid.inverse_affine, found) - stubborn).T
    return backend.upload(mended)


def _missed(forward: Array, back: Array, backend: Backend) -> NDArray[np.float32]:
    """Length in voxels of what is left after the inverse and then the original."""
    left = backend.download(backend.compose(forward, back, out=backend.empty(forward.shape)))
    lengths: NDArray[np.float32] = np.sqrt(np.einsum("c...,c...->...", left, left))
    return lengths


def _stayed(back: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    """Voxels that a field in voxels does not lead off the grid."""
    reached = np.indices(grid.shape, dtype=np.float32) + back
    last = np.array(grid.shape).reshape(3, 1, 1, 1) - 1
    stayed: NDArray[np.bool_] = np.all((reached >= 0) & (reached <= last), axis=0)
    return stayed


def _affine_part(part: Displacement) -> Affine | None:
    """The affine map nearest to a displacement, when that moves the corners of its grid far; else None."""
    trend, corners = nearest_affine(part), part.grid.corners()
    if trend is None:
        return None
    drift = np.linalg.norm(trend.map_points(corners) - corners, axis=1).max()
    return trend if drift > _DRIFT * np.linalg.norm(np.ptp(corners, axis=0)) else None


def _without(part: Displacement, trend: Affine) -> NDArray[np.float32]:
    """The field w with ``x + u(x) = trend(x + w(x))``, in mm."""
    linear = np.linalg.inv(trend.matrix)
    shift = linear @ part.grid.affine - part.grid.affine
    lattice = np.indices(part.grid.shape, dtype=np.float32)
    rest = np.tensordot(linear[:3, :3], part.field, 1) + np.tensordot(shift[:3, :3], lattice, 1)
    return np.asarray(rest + shift[:3, 3].reshape(3, 1, 1, 1), dtype=np.float32)
