"""Which reading of a header is taken, of those that were compared, and which cannot be told from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from warpline.registration.header_check.orientations import is_mirrored
from warpline.registration.header_check.search import LEAST_SHARED, Hypothesis
from warpline.registration.judgement import LIMITS, ObjectComparison

CLEARLY = 4.0
"""Standard errors by which another reading of a header must agree better than the header itself to be proposed.

Of 46 correct pairs of brains, mirror images reached 2.9 for them, and no other orientation 2.3."""
LEAST_SIMILARITY = 0.95
"""Mutual information under a reading, as a share of that under another, below which it is the worse one."""
LEAST_FOR_HAND = 0.3
"""Local correlation below which handedness is not decided: brains of one contrast reach 0.34 and more; of unlike
contrasts 0.1 to 0.4, and there mirror images differed by 12 standard errors of either sign."""
NEARLY = 0.75
"""Agreement of a reading, as a share of the best one's, from which the two may be alike."""
LEAST_VOXELS = 0.25
"""Least voxels compared under a reading, as a share of those under another, for it to be the better one: a head that
wrong voxel sizes make ten times larger fills the whole of the reference, one of the right size a third."""


@dataclass(frozen=True, eq=False)
class Choice:
    """The reading of a header that is taken.

    Parameters
    ----------
    own, best : Hypothesis
        The header as it is, and the reading that is taken; the same where no other is clearly better.
    rivals : tuple of Hypothesis
        Other orientations than the best one's that agree alike.
    above_chance : float
        Agreement of the best over that of maps that are wrong on purpose.
    """

    own: Hypothesis
    best: Hypothesis
    rivals: tuple[Hypothesis, ...]
    above_chance: float

    @property
    def is_sure(self) -> bool:
        """Whether the images agree at all, or one orientation better than all others of its handedness."""
        alike = [one for one in self.rivals if not _differ_in_hand(one, self.best)]
        return self.above_chance >= _least_above_chance() or not alike

    def measures(self) -> dict[str, Any]:
        """Numbers for reports."""
        return {
            "correlation": self.own.agreement.correlation,
            "best_correlation": self.best.agreement.correlation,
            "above_chance": self.above_chance,
            "object_overlap": self.best.agreement.overlap,
        }


def choose(found: Sequence[Hypothesis], comparison: ObjectComparison) -> Choice:
    """The header's own reading, unless another one agrees clearly better and better than chance.

    Parameters
    ----------
    found : sequence of Hypothesis
        One of them is the header's own.
    comparison : ObjectComparison
        Of the two images.
    """
    own = next(one for one in found if one.is_header)
    better = [one for one in found if one is not own and _is_better(one, own, comparison)]
    best = _simplest(better, comparison) if better else own
    if _above_chance(best, comparison) < _least_above_chance():
        best = own
    return Choice(own, best, _rivals(best, found, comparison), _above_chance(best, comparison))


def _simplest(better: Sequence[Hypothesis], comparison: ObjectComparison) -> Hypothesis:
    """Of the best reading and those that agree about as well, the one that changes the orientation least."""
    best = max(better, key=lambda one: one.agreement.correlation)
    least = NEARLY * best.agreement.correlation
    near = [one for one in better if one.agreement.correlation >= least]
    alike = [one for one in near if one is best or not _gains(best, one, comparison)]
    return max(alike, key=lambda one: (one.orientation.trace(), one.agreement.correlation))


def _rivals(best: Hypothesis, found: Sequence[Hypothesis], comparison: ObjectComparison) -> tuple[Hypothesis, ...]:
    others = (one for one in found if (one.orientation != best.orientation).any())
    return tuple(one for one in others if not _is_better(best, one, comparison))


def _is_better(one: Hypothesis, other: Hypothesis, comparison: ObjectComparison) -> bool:
    """Whether one reading agrees clearly better than another."""
    first, second = one.agreement, other.agreement
    if first.voxels < LEAST_VOXELS * second.voxels or first.correlation <= second.correlation:
        return False
    if second.voxels < LEAST_VOXELS * first.voxels:
        return True
    alike = second.correlation > NEARLY * first.correlation
    if _differ_in_hand(one, other) and alike and first.correlation < LEAST_FOR_HAND:
        return False
    return _gains(one, other, comparison) and one.similarity >= LEAST_SIMILARITY * other.similarity


def _gains(one: Hypothesis, other: Hypothesis, comparison: ObjectComparison) -> bool:
    """Whether the agreement under one reading is larger by more than noise."""
    gain, error = comparison.gain(one.to_header, other.to_header)
    return gain > CLEARLY * error


def _differ_in_hand(one: Hypothesis, other: Hypothesis) -> bool:
    return is_mirrored(one.orientation) != is_mirrored(other.orientation)


def _above_chance(one: Hypothesis, comparison: ObjectComparison) -> float:
    _, chance = comparison.before_and_chance(one.to_header, int(LEAST_SHARED * one.agreement.voxels))
    return float(np.nan if chance is None else one.agreement.correlation / max(chance, 1e-6))


def _least_above_chance() -> float:
    """From which the images agree better than by chance, as for registrations."""
    return LIMITS["above_chance"].doubtful[0] or 0.0
