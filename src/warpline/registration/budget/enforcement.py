"""Keeping a map and its inverse within a deformation budget.

What exceeds a limit is smoothed, both maps alike, and made inverse consistent again:

1. Where mean bending is too high, everywhere, by as much as needed: a search on the logarithm of sigma.
2. Where determinants or strains are too large, in a soft region around those voxels, again and again.
3. What is left after that is scaled down, which every limit allows in the end; a warning says so.

A filter that is flat at low frequencies, ``2 g - g * g`` with a Gaussian g, takes less of the overlap for the same
bending than the Gaussian alone. Limits are kept with a margin, so that they also hold for the numbers in files.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np

from warpline.backends import Array, Backend
from warpline.recipe import Budget
from warpline.registration.budget.spending import Spending
from warpline.registration.budget.usage import Meter, Usage
from warpline.registration.inverse_consistency import InversePair, correct, settle, soft_region
from warpline.registration.quality import Units, round_trip
from warpline.space.grid import Grid
from warpline.space.inversion import invert_field_asynchronously

_log = logging.getLogger(__name__)

ALLOWED = 0.995
"""Share of each limit that is used at most: rounding to single precision in mm is a thousandth of the rest."""

ENOUGH = 0.97
"""Share of the bending limit from which on the search for the smoothing ends."""

LOCAL_TARGET = 0.98
"""Share of the limits on determinants and strain that local smoothing aims at: consistency may cost a part of it."""

MOST_TRIALS = 8
"""Trials of the search for the smoothing; 3 to 5 are usual."""

MOST_ROUNDS = 60
"""Rounds of local smoothing before the map is made consistent, and looked at again."""

MOST_PASSES = 5
"""Times that smoothing, everywhere or locally, and consistency follow each other."""

FIRST_SIGMA, FIRST_REACH = 1.0, 1.5
"""Gaussians of the first round of local smoothing, and of the edge of its region, in voxels.

A sharper edge between smoothed and other values would itself stretch space."""

GROWTH = 1.04
"""Factor on both from round to round: a larger one takes fewer rounds, and costs overlap."""

DECAY, EXPONENT = 0.35, 1.75
"""``log(bending before / after) = 0.35 s^1.75``, about, for a smoothing of s voxels: where the search begins."""

MOST_SMOOTHING = 64.0
"""In voxels."""

CROWDED, CALMING = 0.15, 8.0
"""Where more than a share v of the voxels exceed limits, SyN run again with ``exp(-8 v)`` of the bending loses less."""

SCALES = (0.5, 0.25, 0.1, 0.03, 0.0)
"""Factors on a map that no smoothing brought within its budget; with 0 nothing is left."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Where a pair of maps lies, and what smoothing it must respect.

    Parameters
    ----------
    grid : Grid
        Whose voxels displacements are in.
    foreground : (I, J, K) uint8
        Not 0 where limits must hold.
    fade : (I, J, K) float32
        1 where maps may be smoothed, falling to 0 at faces beyond which they are 0.
    units : three floats
        What inverse errors are counted in, see `Quality`.
    """

    grid: Grid
    foreground: Array
    fade: Array
    units: Units


class Keeper:
    """Keeps pairs of maps within one budget on one grid.

    Parameters
    ----------
    budget : Budget
        At least one limit.
    place : Surroundings
        Of the pairs.
    backend : Backend
        Where everything is.
    """

    def __init__(self, budget: Budget, place: Surroundings, backend: Backend) -> None:
        self.budget, self.allowed = budget, _tightened(budget)
        self.place, self.backend = place, backend
        self.meter = Meter(self.allowed, place.foreground, place.grid, backend)
        edges = np.where(np.array(place.grid.shape) > 1, place.grid.voxel_size, np.inf)
        self.voxel = float(edges.min()) if np.isfinite(edges).any() else 1.0
        self.widths = self.voxel / edges

    def usages(self, pair: InversePair) -> tuple[Usage, Usage]:
        """What the forward map and its inverse use."""
        return self.meter.usage(pair.forward), self.meter.usage(pair.inverse)

    def bending_to_leave(self, pair: InversePair, usages: tuple[Usage, Usage]) -> float:
        """Share of its bending that SyN should leave, run again: what is allowed, or less where many voxels exceed."""
        excess = [
            self.meter.excess(field, 1.0, inverse=field is pair.inverse) for field in (pair.forward, pair.inverse)
        ]
        crowded = max(0.0 if one is None else self.meter.share(one) for one in excess)
        return min(self._bending_allowed(usages), math.exp(-CALMING * crowded) if crowded > CROWDED else 1.0)

    def _bending_allowed(self, usages: tuple[Usage, Usage]) -> float:
        """Bending that is allowed, over that of the rougher map; 1 where it bends no more than that."""
        bending = max(usage.bending or 0.0 for usage in usages)
        if self.allowed.max_bending is None or bending <= self.allowed.max_bending:
            return 1.0
        return self.allowed.max_bending / bending

    def keep(self, pair: InversePair, usages: tuple[Usage, Usage]) -> tuple[InversePair, Spending]:
        """The pair within the budget, and what it uses of it; the pair itself where `usages` are within it already."""
        smoothing, rounds, scale = 0.0, 0, 1.0
        for _ in range(MOST_PASSES):
            if self._is_kept(usages):
                break
            if self._bending_allowed(usages) < 1:
                pair, strength = self._smooth_everywhere(pair, self._bending_allowed(usages))
                smoothing = math.hypot(smoothing, strength)
            else:
                pair, done = self._smooth_locally(pair)
                rounds += done
            usages = self.usages(pair)
        for factor in SCALES:
            if self._is_kept(usages):
                break
            pair, scale = self._scaled(pair, factor / scale), factor
            usages = self.usages(pair)
        return pair, Spending(self.budget, *usages, smoothing=smoothing * self.voxel, rounds=rounds, scale=scale)

    # -- everywhere ---------------------------------------------------------------------------------------------------

    def _smooth_everywhere(self, pair: InversePair, share: float) -> tuple[InversePair, float]:
        """The pair with as much smoothing as leaves a share of its bending, and how much that is, in voxels."""
        before, best = self._bending(pair), (pair, 0.0)
        search = _Search(-math.log(share * (1 + ENOUGH) / 2))
        for _ in range(MOST_TRIALS):
            trial = self._smoothed(pair, search.strength)
            left = self._bending(trial) / before
            _log.debug(
                "smoothing by %.3f voxels leaves %.4f of the bending, %.4f are allowed", search.strength, left, share
            )
            if left <= share:
                best = trial, search.strength
            if ENOUGH * share <= left <= share or (left > share and search.strength >= MOST_SMOOTHING):
                break
            search.update(-math.log(max(left, 1e-300)), is_enough=left <= share)
        return best

    def _smoothed(self, pair: InversePair, strength: float) -> InversePair:
        """Both maps smoothed, and made consistent."""
        i, j, k = (max(strength, 1.0) * self.widths).tolist()
        weight = self.place.fade * np.float32(min(strength, 1.0) ** EXPONENT)
        maps = [field.copy() for field in (pair.forward, pair.inverse)]
        for field in maps:
            self._blend(field, weight, (i, j, k))
        return self._settled(*maps)

    # -- where it is needed -------------------------------------------------------------------------------------------

    def _smooth_locally(self, pair: InversePair) -> tuple[InversePair, int]:
        """The pair with smoothing around every voxel that exceeds a limit, and how many rounds it took."""
        forward, inverse = pair.forward.copy(), pair.inverse.copy()
        done = 0
        while done < MOST_ROUNDS:
            excess = [self.meter.excess(field, LOCAL_TARGET, inverse=field is inverse) for field in (forward, inverse)]
            weights = self._regions(excess, (forward, inverse), FIRST_REACH * GROWTH**done)
            if weights is None:
                break
            residuals = round_trip(inverse, forward, self.backend), round_trip(forward, inverse, self.backend)
            for field, residual, weight in zip((forward, inverse), residuals, weights, strict=True):
                correct(field, residual, weight)
                self._blend(field, weight, (FIRST_SIGMA * GROWTH**done,) * 3)
            done += 1
        return self._settled(forward, inverse), done

    def _regions(
        self, excess: list[Array | None], maps: tuple[Array, Array], reach: float
    ) -> tuple[Array, Array] | None:
        """For both maps, 1 where they or what they lead to exceed a limit, falling smoothly to 0; None for nowhere."""
        soft = [None if one is None else soft_region(one, reach, self.backend) for one in excess]
        if soft[0] is None and soft[1] is None:
            return None
        regions = []
        for own, other, field in zip(soft, reversed(soft), maps, strict=True):
            led = None if other is None else self.backend.sample(other, field=field)
            both = own if led is None else led if own is None else np.maximum(own, led)
            regions.append(both * self.place.fade)
        return regions[0], regions[1]

    # -- both ---------------------------------------------------------------------------------------------------------

    def _scaled(self, pair: InversePair, factor: float) -> InversePair:
        """The pair with all displacements of the forward map times a factor."""
        forward = pair.forward * np.float32(factor)
        return self._settled(forward, invert_field_asynchronously(forward, self.backend))

    def _blend(self, field: Array, weight: Array, sigma: tuple[float, float, float]) -> None:
        """Blend a field with itself smoothed by ``2 g - g * g``."""
        once, twice = self.backend.empty(field.shape), self.backend.empty(field.shape)
        self.backend.smooth(field, sigma, out=once)
        self.backend.smooth(once, sigma, out=twice)
        once *= np.float32(2)
        once -= twice
        once -= field
        once *= weight
        field += once

    def _settled(self, forward: Array, inverse: Array) -> InversePair:
        return settle(forward, inverse, self.place.foreground, self.backend, self.place.units)

    def _bending(self, pair: InversePair) -> float:
        return max(self.meter.bending(field) for field in (pair.forward, pair.inverse))

    def _is_kept(self, usages: tuple[Usage, Usage]) -> bool:
        return all(usage.share_of(self.allowed, inverse=bool(way)) <= 1 for way, usage in enumerate(usages))


class _Search:
    """Search for the smoothing that lowers the logarithm of bending by a wanted amount, nearly a power of it."""

    def __init__(self, wanted: float) -> None:
        self._wanted, self._low, self._high = wanted, 0.0, MOST_SMOOTHING
        self._exponent, self._last = EXPONENT, (0.0, 0.0)
        self.strength = min((wanted / DECAY) ** (1 / EXPONENT), MOST_SMOOTHING)

    def update(self, gained: float, *, is_enough: bool) -> None:
        """Choose the next smoothing, knowing what the last one gained."""
        tried, gained = self.strength, max(gained, 1e-6)
        self._low, self._high = (self._low, tried) if is_enough else (tried, self._high)
        before, before_gained = self._last
        if before > 0 and before != tried and gained != before_gained:
            slope = math.log(gained / before_gained) / math.log(tried / before)
            self._exponent = min(max(slope, 0.5), 4.0)
        self._last = tried, gained
        proposed = tried * (self._wanted / gained) ** (1 / self._exponent)
        if not self._low < proposed < self._high:
            proposed = (self._low + self._high) / 2 if self._high < MOST_SMOOTHING else min(2 * tried, self._high)
        self.strength = proposed


def _tightened(budget: Budget) -> Budget:
    """A budget with the share `ALLOWED` of every limit."""
    jacobian = budget.jacobian and tuple(limit**ALLOWED for limit in budget.jacobian)
    bending, strain = (None if limit is None else ALLOWED * limit for limit in (budget.max_bending, budget.max_strain))
    return budget.model_copy(update={"max_bending": bending, "jacobian": jacobian, "max_strain": strain})
