"""How invertible a map is: its folds, and how far a point comes back from where it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from warpline.backends import Array, Backend
from warpline.space.inversion import InverseError, round_trip_error

Units = tuple[float, float, float]
"""Length along each axis, in voxels, that inverse errors are counted in."""

VOXELS: Units = (1.0, 1.0, 1.0)
"""Voxels themselves."""

MEAN_LIMIT, P99_LIMIT = 0.05, 0.25
"""Largest mean and 99th percentile of the inverse error inside the mask, in voxels, of either direction.

Above them a result is doubtful; lower limits would cost detail, which linear interpolation cannot carry."""


@dataclass(frozen=True)
class Quality:
    """How invertible a map is; folds and errors inside the mask, errors in voxels.

    Parameters
    ----------
    folds : float
        Share of voxels with det J <= 0 by any differences, central, one-sided or of the tetrahedra that a digital
        diffeomorphism is defined by (`Backend.least_jacobian`), the worse of the two directions.
    folded_voxels : int
        Their number.
    jacobian_min, jacobian_max : float
        Least det J of either direction, largest of the forward one, by central differences.
    inverse_error_mean, inverse_error_p99, inverse_error_max : float
        Round-trip error, the worse of the two directions.
    rounds : int
        Rounds of relaxation that were needed.
    units : three floats
        What errors are counted in, along each axis: a voxel, or more of them where the finest levels were left out, so
        that interpolating an image does not tighten the limits.
    least_jacobian : float or None
        Least det J of either direction by any differences; None of results that older versions measured, whose folds
        are those of central differences.

    Examples
    --------
    >>> from warpline.registration import Quality
    >>> quality = Quality(
    ...     folds=0.0, folded_voxels=0, jacobian_min=0.2, jacobian_max=3.0,
    ...     inverse_error_mean=0.04, inverse_error_p99=0.2, inverse_error_max=0.9,
    ... )
    >>> quality.is_within_limits
    True
    """

    folds: float
    folded_voxels: int
    jacobian_min: float
    jacobian_max: float
    inverse_error_mean: float
    inverse_error_p99: float
    inverse_error_max: float
    rounds: int = 0
    units: Units = VOXELS
    least_jacobian: float | None = None

    @property
    def is_within_limits(self) -> bool:
        """Whether no voxel folds and the inverse errors are within their limits."""
        within = self.inverse_error_mean <= MEAN_LIMIT and self.inverse_error_p99 <= P99_LIMIT
        return self.folded_voxels == 0 and within


def quality_of(
    forward: Array, inverse: Array, mask: Array, backend: Backend, *, rounds: int = 0, units: Units = VOXELS
) -> Quality:
    """Quality of a map and its inverse (3, I, J, K), in voxels of one grid, inside a mask.

    Parameters
    ----------
    forward, inverse : (3, I, J, K)
        Displacements in voxels.
    mask : (I, J, K) uint8
        Not 0 where they are measured.
    rounds : int
        Of relaxation, that were spent on them.
    units : three floats
        What inverse errors are counted in, see `Quality`.
    """
    residuals = round_trip(inverse, forward, backend), round_trip(forward, inverse, backend)
    errors = [round_trip_error(in_units(residual, units, backend), backend, mask) for residual in residuals]
    known = ((backend.least_jacobian(field), backend.jacobian(field)) for field in (forward, inverse))
    return quality_from(known, mask, errors, rounds=rounds, units=units, backend=backend)


def round_trip(outer: Array, inner: Array, backend: Backend) -> Array:
    """``outer(inner(x)) - x``."""
    return backend.compose(outer, inner, out=backend.empty(inner.shape))


def in_units(residual: Array, units: Units, backend: Backend) -> Array:
    """A displacement in voxels, counted in units along each axis."""
    return residual if units == VOXELS else residual / backend.upload(np.array(units, np.float32).reshape(3, 1, 1, 1))


def quality_from(
    determinants: Iterable[tuple[Array, Array]],
    mask: Array,
    errors: list[InverseError],
    *,
    rounds: int,
    units: Units,
    backend: Backend,
) -> Quality:
    """From the determinants (I, J, K) of a map, then of its inverse, by any differences and by central ones.

    And from their round-trip errors, with one host synchronisation.
    """
    inside, measured = mask != 0, backend.zeros((13,), np.float64)
    for (least, central), row in zip(determinants, (measured[:6], measured[6:12]), strict=True):
        backend.sums(least, mask=inside & (least <= 0), out=row[:3])
        row[3] = np.where(inside, least, np.inf).min()
        row[4] = np.where(inside, central, np.inf).min()
        row[5] = np.where(inside, central, -np.inf).max()
    measured[12] = inside.sum(dtype=np.float64)
    *maps, size = np.split(backend.download(measured), (6, 12))
    forward, inverse = (one.tolist() for one in maps)
    folded = int(max(forward[0], inverse[0]))
    return Quality(
        folds=folded / max(float(size[0]), 1),
        folded_voxels=folded,
        jacobian_min=min(forward[4], inverse[4]),
        jacobian_max=forward[5],
        inverse_error_mean=max(error.mean for error in errors),
        inverse_error_p99=max(error.p99 for error in errors),
        inverse_error_max=max(error.largest for error in errors),
        rounds=rounds,
        units=units,
        least_jacobian=min(forward[3], inverse[3]),
    )
