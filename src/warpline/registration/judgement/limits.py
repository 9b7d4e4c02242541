"""Signs of a wrong map, the values at which they count, and the judgement they add up to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from warpline.registration.quality import MEAN_LIMIT, P99_LIMIT
from warpline.report.measures import Sign

Outcome = Literal["fine", "doubtful", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("fine", "doubtful", "failed")
"""From the best to the worst."""

Signs = Mapping[str, float | None]
"""Name to value; None where a sign does not apply."""

Range = tuple[float | None, float | None]
"""Lowest and highest value allowed; None where there is no such end."""


@dataclass(frozen=True)
class Limit:
    """The meaning of a sign, and its allowed range.

    Parameters
    ----------
    title : str
        Its name in reports.
    meaning : str
        What it measures.
    sentence : str
        The warning for a value out of range: with ``{value}``, ``{limit}``, the end of `doubtful` beside it, and what
        both mean.
    doubtful, failed : (low, high)
        Values outside are a reason for doubt, or certainly wrong.
    is_share : bool
        Whether values are written as percentages.

    Examples
    --------
    >>> from warpline.registration.judgement import LIMITS
    >>> LIMITS["coverage"].warning(0.12)
    'the moving image shows only 12% of the fixed object (15% is enough); outside of it the map is a guess'
    """

    title: str
    meaning: str
    sentence: str
    doubtful: Range
    failed: Range = (None, None)
    is_share: bool = False

    @property
    def limit(self) -> float:
        """The end of `doubtful`: every sign has one."""
        low, high = self.doubtful
        return float(low if low is not None else high or 0.0)

    def gravity(self, value: float) -> int:
        """The place in `OUTCOMES` of a value."""
        doubtful = math.isnan(value) or _outside(value, self.doubtful)
        return 2 if _outside(value, self.failed) else 1 if doubtful else 0

    def warning(self, value: float) -> str:
        """The sentence for a value out of range."""
        return self.sentence.format(**self.written(value))

    def written(self, value: float) -> dict[str, str]:
        """Value and limit as text, with as many digits as tell them apart."""
        limit = self.limit
        scale, unit = (100.0, "%") if self.is_share else (1.0, "")
        beside = f"{scale * limit:.15g}"
        shown = (f"{scale * value:.{digits}g}" for digits in range(2 if self.is_share else 3, 17))
        found = next((text for text in shown if text != beside or value == limit), f"{scale * value:.17g}")
        return {"value": (f"{scale * value:.0f}" if "e+" in found else found) + unit, "limit": beside + unit}

    def sign(self, name: str, value: float) -> Sign:
        """A value beside what is allowed, in words."""
        written, low = self.written(value), self.doubtful[0] is not None
        allowed = f"{written['limit']} or more" if low else f"at most {written['limit']}"
        return Sign(name, self.title, self.meaning, written["value"], allowed, OUTCOMES[self.gravity(value)])


LIMITS: dict[str, Limit] = {
    "above_chance": Limit(
        "Agreement above chance",
        "Local correlation inside the objects over the most that wrong maps give",
        "inside their outlines the images agree only {value} times as well as under maps that are wrong on purpose "
        "(right ones: {limit} or more): they may not show the same object, or the start was too far off; look at the "
        "result, give --initial",
        doubtful=(1.8, None),
    ),
    "agreement_turned": Limit(
        "Agreement above chance, turned",
        "The same, where the affine turns the object by more than 45° against its headers",
        "the affine turns the object by more than 45° against its headers, or the start that was given, and the "
        "images agree only {value} times as well as under maps that are wrong on purpose (right ones that turn so "
        "far: {limit} or more): look at the result, give --initial",
        doubtful=(3.0, None),
    ),
    "affine_gain": Limit(
        "Gain of the affine",
        "Local correlation under the affine over that under the headers alone",
        "the affine leaves the images less alike than their headers do: their local correlation is {value} times as "
        "high (right ones: {limit} or more); start from the headers with --set initialise.method=identity --set "
        "initialise.rotations=false",
        doubtful=(0.85, None),
    ),
    "warp_gain": Limit(
        "Gain of the warp",
        "Local correlation under the whole map over that under its affine",
        "the deformation leaves the images less alike than the affine alone: their local correlation is {value} times "
        "as high (right ones: {limit} or more); use the affine, or raise syn.total_sigma",
        doubtful=(0.97, None),
    ),
    "object_overlap": Limit(
        "Overlap of the objects",
        "Share of the smaller object that the larger one covers, where both images show anything",
        "the objects hardly cover each other: {value} of the smaller one lies on the other (right ones: {limit} or "
        "more); look at the result, give --initial or masks",
        doubtful=(0.6, None),
        failed=(0.2, None),
        is_share=True,
    ),
    "coverage": Limit(
        "Coverage",
        "Share of the fixed object that the moving image shows",
        "the moving image shows only {value} of the fixed object ({limit} is enough); outside of it the map is a guess",
        doubtful=(0.15, None),
        is_share=True,
    ),
    "least_stretch": Limit(
        "Least stretch",
        "Factor along the direction that the affine shrinks most: its smallest singular value",
        "the affine shrinks the object to {value} of its size along one direction (usual: {limit} or more): check the "
        "voxel sizes in the headers",
        doubtful=(0.5, None),
        failed=(0.05, None),
    ),
    "most_stretch": Limit(
        "Most stretch",
        "Factor along the direction that the affine stretches most: its largest singular value",
        "the affine stretches the object to {value} times its size along one direction (usual: at most {limit}): "
        "check the voxel sizes in the headers",
        doubtful=(None, 2.0),
        failed=(None, 20.0),
    ),
    "distortion": Limit(
        "Distortion",
        "One of these factors over the other: largest over smallest singular value of the affine",
        "the affine stretches one direction {value} times as much as another (usual: at most {limit}): check the "
        "voxel sizes in the headers",
        doubtful=(None, 1.8),
        failed=(None, 8.0),
    ),
    "better_nearby": Limit(
        "Best neighbour",
        "The metric at the best neighbour of the affine over that at the affine",
        "a map close by fits {value} times as well as the one that was found (allowed: at most {limit}): the search "
        "has not converged; raise linear.iterations",
        doubtful=(None, 1.05),
    ),
    "folded_voxels": Limit(
        "Folded voxels",
        "Voxels where the warp or its inverse folds",
        "the map folds at {value} voxels, where it turns space inside out (allowed: {limit}); raise syn.total_sigma "
        "or mask out what only one image shows",
        doubtful=(None, 0.0),
    ),
    "inverse_error_mean": Limit(
        "Inverse error",
        "Mean inverse error, in voxels",
        "the inverse error is {value} voxels on average (allowed: at most {limit}): so far is a point from itself "
        "after going there and back; do not rely on the inverse to less than that, raise syn.total_sigma",
        doubtful=(None, MEAN_LIMIT),
    ),
    "inverse_error_p99": Limit(
        "Inverse error, 99 %",
        "99th percentile of the inverse error, in voxels",
        "the inverse error is above {value} voxels in one of a hundred places (allowed: at most {limit}): so far is a "
        "point from itself after going there and back; do not rely on the inverse to less than that, raise "
        "syn.total_sigma",
        doubtful=(None, P99_LIMIT),
    ),
    "farthest": Limit(
        "Farthest displacement",
        "Largest displacement of the warp over the radius of the object",
        "the deformation moves parts of the object by {value} of its radius (usual: at most {limit}), farther than "
        "the search can be trusted: look at the result",
        doubtful=(None, 0.75),
    ),
    "jacobian_max": Limit(
        "Largest Jacobian",
        "Largest Jacobian determinant of the warp",
        "the deformation changes the volume of a part of the object {value}-fold (usual: at most {limit}-fold): look "
        "at the result, raise syn.total_sigma",
        doubtful=(None, 30.0),
    ),
    "spread": Limit(
        "Spread of perturbed runs",
        "Median distance of perturbed runs from the map, inside the object, over its radius",
        "perturbed runs end {value} of the object's radius away from the map, in the median (usual: at most {limit}), "
        "as where images show mostly noise: look at the result, take a smoother recipe such as syn-smooth, or a "
        "linear one",
        doubtful=(None, 0.03),
    ),
    "budget_used": Limit(
        "Budget used",
        "Largest share of a limit of the recipe's budget that the warp or its inverse uses",
        "the deformation exceeds its budget: it uses {value} times a limit of it (allowed: at most {limit}); do not "
        "rely on the limit, raise it, or syn.total_sigma",
        doubtful=(None, 1.0),
    ),
    "budget_scale": Limit(
        "Displacements left by the budget",
        "Factor on all displacements where smoothing was not enough to keep the recipe's budget",
        "smoothing was not enough to keep the budget, and displacements were scaled down to {value} of their length "
        "({limit} would be all of it): allow more",
        doubtful=(1.0, None),
    ),
}
"""Every sign, in the order in which they are measured. How the values were chosen: docs/quality.md."""


@dataclass(frozen=True)
class Judgement:
    """Whether one registration can be trusted.

    Parameters
    ----------
    outcome : str
        ``"fine"``, ``"doubtful"`` or ``"failed"``.
    reasons : tuple of str
        Why, in words, the gravest first; empty when fine.
    signs : dict
        Every measured sign, see `LIMITS`.

    Examples
    --------
    >>> from warpline.registration.judgement import Judgement
    >>> Judgement().outcome
    'fine'
    """

    outcome: Outcome = "fine"
    reasons: tuple[str, ...] = ()
    signs: Signs = field(default_factory=dict)


def judge(signs: Signs) -> Judgement:
    """The judgement of some signs: the outcome of the gravest, and every reason.

    Parameters
    ----------
    signs : dict
        Names, see `LIMITS`, to values; None where a sign does not apply.

    Examples
    --------
    >>> from warpline.registration.judgement import judge
    >>> judge({"object_overlap": 0.1, "warp_gain": None}).outcome
    'failed'
    """
    findings = sorted(_findings(signs), key=lambda finding: -finding[0])
    gravest = max((gravity for gravity, _ in findings), default=0)
    return Judgement(OUTCOMES[gravest], tuple(sentence for _, sentence in findings), dict(signs))


def _findings(signs: Signs) -> Iterator[tuple[int, str]]:
    """Gravity and sentence of every sign that is out of range."""
    for name, value in signs.items():
        if value is None:
            continue
        gravity = LIMITS[name].gravity(value)
        if gravity:
            yield gravity, LIMITS[name].warning(value)


def signs_in_words(signs: Signs) -> list[Sign]:
    """Every sign that applies, in the order of `LIMITS`, beside what is allowed.

    Parameters
    ----------
    signs : dict
        As for `judge`.

    Examples
    --------
    >>> from warpline.registration.judgement import signs_in_words
    >>> [(sign.title, sign.value, sign.allowed, sign.outcome) for sign in signs_in_words({"coverage": 0.12})]
    [('Coverage', '12%', '15% or more', 'doubtful')]
    """
    known = {name: signs.get(name) for name in LIMITS}
    return [LIMITS[name].sign(name, value) for name, value in known.items() if value is not None]


def _outside(value: float, allowed: Range) -> bool:
    low, high = allowed
    return (low is not None and value < low) or (high is not None and value > high)
