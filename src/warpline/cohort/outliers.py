"""Verdicts on pairs: fixed limits that hold for every cohort, and robust distances from the rest of this one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from warpline.cohort.quality import COLUMNS, JUDGED
from warpline.registration.inverse_consistency import P99_LIMIT
from warpline.registration.judgement import LIMITS, MOST_ROTATION, Limit, Range

VERDICTS = ("pass", "review", "fail")

FEWEST = 10
"""Pairs that a cohort needs before they are compared with each other."""

FAR, VERY_FAR, TOGETHER = 4.0, 8.0, 3.0
"""Robust z that asks for a look; that fails a pair, where its rule says so; score that asks for a look."""

Table = Mapping[str, NDArray[np.float64]]
"""Columns of numbers, NaN where there is none."""

Finding = tuple[int, float, str, str]
"""Gravity (1 review, 2 fail), how far out, column and words."""

_OPEN: Range = (None, None)

_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Rule:
    """How a column is judged.

    Parameters
    ----------
    worse : str
        The side on which a value far from the cohort's median counts.
    least : float
        The smallest spread that matters, in the column's unit, or as a share when `log`: in a cohort tighter than
        that, small differences are no outliers. 0 compares with no one.
    log : bool
        Compare logarithms: what is twice as much is as far as what is half.
    review, fail : (low, high)
        Values outside ask for a look, or fail the pair, in any cohort.
    decisive : bool
        Whether a very far value fails the pair, rather than asking for a look.
    """

    worse: Literal["low", "high", "either"]
    least: float = 0.0
    log: bool = False
    review: Range = _OPEN
    fail: Range = _OPEN
    decisive: bool = False


def _limited(limit: Limit) -> Rule:
    """The rule of a sign of the judgement, which is compared with no other pair."""
    return Rule("high" if limit.doubtful[0] is None else "low", review=limit.doubtful, fail=limit.failed)


RULES: dict[str, Rule] = {
    "ncc_after": Rule("low", 0.02, decisive=True),
    "local_ncc_after": Rule("low", 0.02, decisive=True),
    "local_ncc_gain": Rule("low", review=(-0.02, None)),
    "dice": Rule("low", 0.02, fail=(0.05, None), decisive=True),
    "mask_dice": Rule("low", 0.01, review=(0.9, None), fail=(0.75, None)),
    "foreground_dice": Rule("low", 0.02, fail=(0.5, None)),
    "coverage": Rule("low", 0.02, review=(0.85, None), fail=(0.5, None)),
    "rotation": Rule("high", 2.0, review=(None, MOST_ROTATION)),
    "scale_x": Rule("either", 0.03, log=True),
    "scale_y": Rule("either", 0.03, log=True),
    "scale_z": Rule("either", 0.03, log=True),
    "shear_xy": Rule("either", 0.03),
    "shear_xz": Rule("either", 0.03),
    "shear_yz": Rule("either", 0.03),
    "determinant": Rule("either", 0.05, log=True, review=(0.6, 1.7), fail=(0.3, 3.3)),
    "displacement_mean": Rule("high", 0.3),
    "log_jacobian_sd": Rule("high", 0.05),
    "folded_share": Rule("high", review=(None, 0.0), fail=(None, 0.01)),
    "inverse_error_p99": Rule("high", review=(None, P99_LIMIT), fail=(None, 1.0)),
    **{name: _limited(LIMITS[name]) for name in JUDGED},
}
"""The columns that decide a verdict."""


@dataclass(frozen=True)
class Verdict:
    """What is thought of a pair.

    Parameters
    ----------
    verdict : str
        ``"pass"``, ``"review"`` or ``"fail"``.
    reasons : tuple of str
        Why, in words, the gravest first; empty for a pass.
    score : float
        How far out the pair lies on the side of the worse, all columns together; 1 is the cohort's median, 0 means
        that there were too few pairs to compare.
    columns : tuple of str
        The columns that gave the reasons.
    """

    verdict: str
    reasons: tuple[str, ...] = ()
    score: float = 0.0
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spread:
    """Median of a column and the distance that counts as one robust standard deviation, of logarithms if so judged."""

    median: float
    scale: float


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """A verdict for every pair.

    Parameters
    ----------
    rows : sequence of dict
        Column to number for every finished pair; None or absent where a column does not apply.

    Returns
    -------
    list of Verdict
        In the same order.
    """
    return judge_columns({name: np.array([row.get(name) for row in rows], np.float64) for name in RULES}, len(rows))


def judge_columns(columns: Table, count: int) -> list[Verdict]:
    """The same from arrays (count,), NaN where there is no number; columns without a rule are left out."""
    table = {name: columns[name] for name in RULES if name in columns and np.isfinite(columns[name]).any()}
    distances = {name: _distance(values, RULES[name]) for name, values in table.items()}
    scores = _scores(distances, count)
    findings: defaultdict[int, list[Finding]] = defaultdict(list)
    for row, finding in _findings(table, distances):
        findings[row].append(finding)
    for row in np.flatnonzero(scores > TOGETHER).tolist():
        findings[row].append((1, 0.0, "", _together(scores[row], {name: z[row] for name, z in distances.items()})))
    return [_verdict(findings.get(row, []), score) for row, score in enumerate(scores.tolist())]


def spread(values: NDArray[np.float64], rule: Rule) -> Spread | None:
    """Median and scale of a column (N,) by the median absolute deviation; None when too few pairs have a number."""
    known = _compared(values, rule)
    known = known[np.isfinite(known)]
    if len(known) < FEWEST or rule.least == 0:
        return None
    median = float(np.median(known))
    return Spread(median, max(_NORMAL * float(np.median(np.abs(known - median))), rule.least))


def _compared(values: NDArray[np.float64], rule: Rule) -> NDArray[np.float64]:
    if not rule.log:
        return values
    return np.log(values, out=np.full(values.shape, np.nan), where=values > 0)


def _distance(values: NDArray[np.float64], rule: Rule) -> NDArray[np.float64]:
    """Robust z of every value (N,), 0 where there is no number or no comparison."""
    found = spread(values, rule)
    if found is None:
        return np.zeros(values.shape)
    return np.nan_to_num((_compared(values, rule) - found.median) / found.scale, nan=0.0)


def _worse(distance: NDArray[np.float64], rule: Rule) -> NDArray[np.float64]:
    """How far values lie on the side of the worse, 0 on the other."""
    if rule.worse == "either":
        return np.abs(distance)
    return np.maximum(-distance if rule.worse == "low" else distance, 0.0)


def _scores(distances: Table, count: int) -> NDArray[np.float64]:
    """Mahalanobis distance of robust z, taken on the side of the worse, over the cohort's median: (N,).

    Columns that rise and fall together count less than columns that do not; correlations come from z cut at 3 and
    are drawn towards 0, the more the fewer pairs there are.
    """
    used = {name: z for name, z in distances.items() if z.any()}
    if count < FEWEST or not used:
        return np.zeros(count)
    z = np.clip(np.stack(list(used.values())), -3, 3)
    spreads = z.std(axis=1)
    centred = (z - z.mean(axis=1, keepdims=True)) / np.maximum(spreads, 1e-12)[:, None]
    trust = 0.9 * count / (count + len(used))
    correlation = trust * (centred @ centred.T) / count
    np.fill_diagonal(correlation, 1.0)
    worse = np.stack([np.minimum(_worse(values, RULES[name]), VERY_FAR) for name, values in used.items()])
    signed = np.where(np.stack(list(used.values())) < 0, -worse, worse)
    squared = np.einsum("cn,cn->n", signed, np.linalg.solve(correlation, signed))
    distance = np.sqrt(np.maximum(squared, 0.0))
    typical = float(np.median(distance))
    return np.asarray(distance / typical if typical > 0 else distance, dtype=np.float64)


# -- words ----------------------------------------------------------------------------------------------------------


def _findings(table: Table, distances: Table) -> Iterator[tuple[int, Finding]]:
    """Row and what was found there."""
    for name, values in table.items():
        rule = RULES[name]
        limits = zip((2, 1), (rule.fail, rule.review), strict=True)
        told = np.zeros(values.shape, np.bool_)
        for gravity, (low, high) in limits:
            beyond = _beyond(values, low, high) & ~told
            told |= beyond
            for row in np.flatnonzero(beyond).tolist():
                yield row, (gravity, np.inf, name, _outside(name, values[row], low, high))
        worse = np.where(told, 0.0, _worse(distances[name], rule))
        for row in np.flatnonzero(worse > FAR).tolist():
            gravity = 2 if rule.decisive and worse[row] > VERY_FAR else 1
            yield row, (gravity, worse[row], name, _apart(name, values, distances[name], row))


def _beyond(values: NDArray[np.float64], low: float | None, high: float | None) -> NDArray[np.bool_]:
    below = np.zeros(values.shape, np.bool_) if low is None else values < low
    return below if high is None else below | (values > high)


def _outside(name: str, value: float, low: float | None, high: float | None) -> str:
    side, limit = ("below", low) if low is not None and value < low else ("above", high)
    return f"{_title(name)} {_number(value)} is {side} {_number(limit or 0.0)}"


def _apart(name: str, values: NDArray[np.float64], distance: NDArray[np.float64], row: int) -> str:
    side = "below" if distance[row] < 0 else "above"
    found, middle = _number(values[row]), _number(float(np.nanmedian(values)))
    return f"{_title(name)} {found} is far {side} the cohort's median {middle} (robust z {distance[row]:+.1f})"


def _together(score: float, distances: Mapping[str, float]) -> str:
    worse = {name: float(_worse(np.array(z), RULES[name])) for name, z in distances.items()}
    most = sorted(worse, key=worse.__getitem__, reverse=True)[:2]
    led = " and ".join(map(_title, most))
    return f"all measures together lie {score:.1f} times as far out as usual, most of all {led}"


def _verdict(found: list[Finding], score: float) -> Verdict:
    ordered = sorted(found, key=lambda finding: finding[:2], reverse=True)
    gravest = max((gravity for gravity, *_ in ordered), default=0)
    reasons = tuple(words for *_, words in ordered)
    columns = tuple(name for *_, name, _ in ordered if name)
    return Verdict(VERDICTS[gravest], reasons, round(score, 3), columns)


def _title(name: str) -> str:
    title = COLUMNS[name].title
    return title[0].lower() + title[1:]


def _number(value: float) -> str:
    return f"{value:.3g}"
