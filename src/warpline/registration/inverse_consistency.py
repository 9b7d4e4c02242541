"""Inverse consistency: one map and its inverse from the two half-maps of SyN, without folds.

Linear interpolation cannot carry the finest detail of the half-maps, so that ``inverse(forward(x))`` misses x where
they bend sharply. Rounds of a relaxation, after Christensen and Johnson 2001 (doi:10.1109/42.932742), move either map a
step towards the inverse of the other until errors and folds are within their limits:

1. Measure both round-trip errors and the least Jacobian determinant inside the mask; stop if they are within limits.
2. Subtract a share of its round-trip error from either map, where errors exceed, or folding threatens.
3. Where a determinant is about to vanish, blend both maps with their own Gaussian.
4. Then raise what is left of folds that central differences do not see, moving few voxels by little
   (`Backend.unfold`), and go back to 1.

Half-maps too rough for that are smoothed and joined again: where determinants are low, then everywhere, more and more.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import numpy as np

from warpline.backends import Array, Backend
from warpline.backends.gaussian import gaussian
from warpline.registration.directions import Projection
from warpline.registration.quality import (
    MEAN_LIMIT,
    P99_LIMIT,
    VOXELS,
    Quality,
    Units,
    in_units,
    quality_from,
    quality_of,
    round_trip,
)
from warpline.space.inversion import InverseError, invert_field_asynchronously

_log = logging.getLogger(__name__)

TARGET, TARGET_AFTER_RAISING = 0.9, 0.95
"""Shares of the limits at which the relaxation stops, so that they also hold inside labels, a narrower mask.

Raising determinants adds a little to the errors, which is not worth another round everywhere."""

LEAST_CENTRAL_JACOBIAN = 0.01
"""A determinant by central differences at or below this counts as about to fold while the maps are relaxed."""

LEAST_JACOBIAN = 0.1
"""Least determinant by any differences that maps are left with: a voxel shrinks to a tenth at most, both ways."""

RAISED_FROM, RAISED_TO = 1.05 * LEAST_JACOBIAN, 1.5 * LEAST_JACOBIAN
"""Determinants up to the first are raised to the second; a little more, so that rounding cannot keep one low."""

SWEEPS = 25
"""Sweeps of raising determinants before looking how many are left; brains take 30 to 60 sweeps."""

MOST_RAISED = 0.05
"""Largest share of voxels whose determinants are raised: on brains it is 0.001. A map that folds in more is blended."""

MOST_RAISES = 4
"""How often determinants are raised, each time with rounds of relaxation before and after."""

MOST_ROUNDS = 30
"""Most rounds of relaxation; a map that needs more is smoothed instead, see `ATTEMPTS`."""

WHERE_LOW, EVERYWHERE = "where determinants are low", "everywhere"
ATTEMPTS = (*((sigma, WHERE_LOW) for sigma in (1.0, 1.0, 1.5, 2.0)), *((s, EVERYWHERE) for s in (1.0, 2.0, 4.0, 8.0)))
"""Gaussian smoothing of half-maps, in voxels, and where, tried in turn when the rounds were not enough: in places each
on top of those before, everywhere from the start. More would leave little of the deformation."""

WIDEST = 0.5
"""Mean weight of such places over the mask from which on everything is smoothed at once: little would be kept."""

LOCAL_REACH = 1.0
"""Gaussian of the edge of such places, in voxels."""

RELAXATION = 0.25
"""Relaxation factor of the inverse-consistency update; 0.5 overshoots because both maps move."""

LONGEST_STEP = 0.1
"""Largest change of a displacement component in one round, in voxels: longer steps fold."""

UNFOLD_SIGMA, UNFOLD_REACH = 1.0, 2.0
"""Gaussian smoothing where a map is about to fold, and of the edge of that region, in voxels.

A sharp edge between smoothed and other values could fold itself."""


@dataclass(frozen=True)
class InversePair:
    """A map and its inverse, displacements (3, I, J, K) in voxels of one grid, and their quality.

    `smoothed`: sigma in voxels and place of the attempt that made them, see `ATTEMPTS`; None without one.
    """

    forward: Array
    inverse: Array
    quality: Quality
    smoothed: tuple[float, str] | None = None


def enforce_inverse_consistency(
    to_fixed: Array,
    to_moving: Array,
    mask: Array,
    backend: Backend,
    units: Units = VOXELS,
    *,
    projection: Projection | None = None,
    maps: tuple[Array, Array] | None = None,
) -> InversePair:
    """Join half-maps into the map fixed -> moving and its inverse, consistent within the limits and without folds.

    Parameters
    ----------
    to_fixed, to_moving : (3, I, J, K)
        Displacements from the middle, in voxels of one grid.
    mask : (I, J, K) uint8
        Not 0 where the limits for folds and inverse error must hold.
    units : three floats
        What inverse errors are counted in, see `Quality`.
    projection : Projection, optional
        Onto the directions that displacements keep.
    maps : pair of (3, I, J, K), optional
        The map and its inverse, where the half-maps are joined already; both are changed.

    ``forward(x) = v1(x) + u2(x + v1(x))`` with v1 the inverse of u1 = `to_fixed`; `inverse` likewise. The relaxation
    removes detail that no pair of sampled maps can share, and only where there is such detail.
    """

    def joined(halves: tuple[Array, Array], maps: tuple[Array, Array] | None = None) -> InversePair:
        maps = join(*halves, backend) if maps is None else maps
        if projection is None:
            return settle(*maps, mask, backend, units)
        pair = settle(*maps, mask, backend, units, free=False)
        for field in maps:
            projection.project(field[None], backend.empty((1, *field.shape)))
        return replace(pair, quality=quality_of(*maps, mask, backend, rounds=pair.quality.rounds, units=units))

    given = to_fixed, to_moving
    pair, halves, local = joined(given, maps), given, True
    for sigma, place in ATTEMPTS:
        if pair.quality.is_within_limits:
            break
        weight = _where_low(halves, backend) if local and place == WHERE_LOW else None
        local = weight is not None and _mean_within(mask, weight, backend) <= WIDEST
        if place == WHERE_LOW and not local:
            continue
        del pair  # its memory is for the next one
        halves = _smooth(halves, sigma, weight, backend) if local else _smooth(given, sigma, None, backend)
        pair = replace(joined(halves), smoothed=(sigma, place))
    if not pair.quality.is_within_limits:
        _log.warning("the map could not be made inverse consistent within the limits: %s", pair.quality)
    return pair


def _where_low(halves: tuple[Array, Array], backend: Backend) -> Array:
    """1 where either map that half-maps join to has low determinants, in the middle space, falling to 0 around."""
    weight = backend.zeros(halves[0].shape[1:])
    for field, half in zip(join(*halves, backend), halves, strict=True):
        region = soft_region(backend.least_jacobian(field) <= LEAST_JACOBIAN, LOCAL_REACH, backend)
        np.maximum(weight, backend.sample(region, field=half), out=weight)
    return weight


def _mean_within(mask: Array, volume: Array, backend: Backend) -> float:
    count, total, _ = backend.sums(volume, mask=mask)
    return float(total / max(count, 1))


def _smooth(halves: tuple[Array, Array], sigma: float, weight: Array | None, backend: Backend) -> tuple[Array, Array]:
    """Copies of both half-maps, blended with their Gaussian by a weight (I, J, K)."""
    smoothed = []
    for half in halves:
        smoothed.append(backend.smooth(half, (sigma,) * 3, out=backend.empty(half.shape)))
        if weight is not None:
            smoothed[-1] -= half
            smoothed[-1] *= weight
            smoothed[-1] += half
    return smoothed[0], smoothed[1]


def settle(
    forward: Array, inverse: Array, mask: Array, backend: Backend, units: Units, *, free: bool = True
) -> InversePair:
    """Relax both maps and raise their low determinants in turn, until the limits hold; both are changed in place.

    Unless displacements are `free` to change their directions, low determinants are raised by smoothing alone.
    """
    maps, rounds = (forward, inverse), 0
    for raised in range(MOST_RAISES):
        share = TARGET_AFTER_RAISING if raised else TARGET
        rounds, errors, central = _relax(maps, mask, backend, units, rounds=rounds, share=share)
        least = _raise_determinants(maps, backend, free)
        if least is not None:
            known = list(zip(least, central, strict=True))
            return InversePair(*maps, quality_from(known, mask, errors, rounds=rounds, units=units, backend=backend))
        del central
    return InversePair(forward, inverse, quality_of(forward, inverse, mask, backend, rounds=rounds, units=units))


def _relax(
    maps: tuple[Array, Array], mask: Array, backend: Backend, units: Units, *, rounds: int, share: float
) -> tuple[int, list[InverseError], tuple[Array, Array]]:
    """Rounds of relaxation, after so many, until a share of the limits holds; both fields are changed in place.

    Returns
    -------
    int, list of two InverseError, pair of (I, J, K)
        Rounds so far, the errors of both round trips, and the determinants of both maps by central differences.
    """
    forward, inverse = maps
    for done in range(rounds, MOST_ROUNDS + 1):
        residuals = round_trip(inverse, forward, backend), round_trip(forward, inverse, backend)
        central = backend.jacobian(forward), backend.jacobian(inverse)
        lowest = np.minimum(*central)
        folding = lowest <= LEAST_CENTRAL_JACOBIAN
        errors, least = _measure([in_units(residual, units, backend) for residual in residuals], lowest, mask, backend)
        inconsistent, folds = _exceeds(errors, share), not least > LEAST_CENTRAL_JACOBIAN
        if done == MOST_ROUNDS or not (inconsistent or folds):
            break
        weight = soft_region(folding, UNFOLD_REACH, backend) if folds else None
        correct(forward, residuals[0], None if inconsistent else weight)
        correct(inverse, residuals[1], None if inconsistent else weight)
        del residuals, lowest  # their memory is for what follows
        if weight is not None:
            _blend(forward, weight, backend)
            _blend(inverse, weight, backend)
    return done, errors, central


def _raise_determinants(maps: tuple[Array, Array], backend: Backend, free: bool) -> tuple[Array, Array] | None:
    """Raise the determinants, by any differences, that are at most `LEAST_JACOBIAN`.

    Returns
    -------
    pair of (I, J, K), or None
        The determinants of both maps where none was that low; None where the maps have changed.
    """
    forward, inverse = (_raise_in(field, backend, free) for field in maps)
    return None if forward is None or inverse is None else (forward, inverse)


def _raise_in(field: Array, backend: Backend, free: bool) -> Array | None:
    """As `_raise_determinants`, in one map; it is blended with its Gaussian where moving voxels does not help."""
    least = backend.least_jacobian(field)
    low = least <= LEAST_JACOBIAN
    count, before = _count(low, backend), low.size * 2 * MOST_RAISED
    if not count:
        return least
    while free and 0 < count <= before / 2:
        backend.unfold(field, limit=RAISED_FROM, target=RAISED_TO, sweeps=SWEEPS, least=least)
        low = backend.least_jacobian(field, out=least) <= LEAST_JACOBIAN
        count, before = _count(low, backend), count
    if count:
        _blend(field, soft_region(low, UNFOLD_REACH, backend), backend)
    return None


def _count(region: Array, backend: Backend) -> int:
    return int(backend.download(region.sum(dtype=np.float64).reshape(1))[0])


def join(to_fixed: Array, to_moving: Array, backend: Backend) -> tuple[Array, Array]:
    """Fixed -> moving and moving -> fixed displacements (3, I, J, K) from half-maps, in voxels of one grid."""
    from_fixed = invert_field_asynchronously(to_fixed, backend)
    forward = backend.compose(to_moving, from_fixed, out=backend.empty(to_fixed.shape))
    from_moving = invert_field_asynchronously(to_moving, backend)
    inverse = backend.compose(to_fixed, from_moving, out=from_fixed)
    return forward, inverse


def _measure(
    residuals: list[Array], determinant: Array, mask: Array, backend: Backend
) -> tuple[list[InverseError], float]:
    """The errors of both round trips inside the mask, and the least determinant, with one host synchronisation."""
    measured = backend.zeros((3, 4), np.float64)
    for residual, row in zip(residuals, (measured[0], measured[1]), strict=True):
        backend.statistics(residual, 0.99, mask=mask, out=row)
    measured[2] = determinant.min()
    *errors, least = backend.download(measured)
    return [InverseError.of(error) for error in errors], float(least[0])


def _exceeds(errors: list[InverseError], share: float) -> bool:
    return any(error.mean > share * MEAN_LIMIT or error.p99 > share * P99_LIMIT for error in errors)


def correct(field: Array, residual: Array, weight: Array | None) -> None:
    """Bring the field a step closer to the inverse of the other, where `weight` is not 0; `residual` is overwritten."""
    residual *= np.float32(RELAXATION)
    if weight is not None:
        residual *= weight
    residual.clip(-LONGEST_STEP, LONGEST_STEP, out=residual)
    field -= residual


def soft_region(region: Array, sigma: float, backend: Backend) -> Array:
    """1 in and next to a region (I, J, K), falling smoothly to 0 over some `sigma` voxels."""
    weight = backend.smooth(region.astype(np.float32), (sigma,) * 3, out=backend.empty(region.shape))
    left = math.prod(float(gaussian(sigma)[0]) if n > 1 else 1.0 for n in region.shape)  # of a lone voxel
    return (weight / np.float32(left)).clip(0, 1)


def _blend(field: Array, weight: Array, backend: Backend) -> None:
    """Blend the field with its own Gaussian."""
    smoothed = backend.empty(field.shape)
    backend.smooth(field, (UNFOLD_SIGMA,) * 3, out=smoothed)
    smoothed -= field
    smoothed *= weight
    field += smoothed
