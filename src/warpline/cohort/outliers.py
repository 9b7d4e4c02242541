"""Verdicts on pairs: fixed limits for every cohort, and robust distances from the rest of this one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.cohort.quality import COLUMNS, RULES, Rule

VERDICTS = ("pass", "review", "fail")
"""From the best to the worst; decisions of people have the same names."""

MIN_PAIRS = 10
"""Pairs below which a cohort's median and spread are not estimated: only fixed limits count then."""

REVIEW_Z = 4.0
"""Robust z of one column beyond which a pair is for review."""

FAIL_Z = 8.0
"""Robust z beyond which a pair fails, in columns whose rule is decisive; larger values do not raise the score."""

REVIEW_SCORE = 3.0
"""Score of all columns together beyond which a pair is for review."""

Table = Mapping[str, NDArray[np.float64]]
"""Columns of numbers, NaN where there is none."""

Finding = tuple[int, float, str, str]
"""Severity (index into `VERDICTS`), robust z, column (empty for all together) and reason."""

_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Verdict:
    """The verdict of quality control on one pair.

    Parameters
    ----------
    verdict : str
        One of `VERDICTS`.
    reasons : tuple of str
        One sentence each, the most severe first; empty for a pass.
    score : float or None
        Distance from the cohort on the worse side, all columns together; 1 is the cohort's median. None where there
        were too few pairs to compare.
    columns : tuple of str
        The columns that gave reasons, in their order.
    """

    verdict: str
    reasons: tuple[str, ...] = ()
    score: float | None = None
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, verdict: str, text: str, score: float | None) -> Verdict:
        """The verdict that a table holds, with its reasons as `text`: each reason of a column begins with its title."""
        reasons = tuple(text.split(_SEPARATOR)) if text else ()
        titles = (next((t for t in _BY_TITLE if reason.startswith(f"{t} ")), "") for reason in reasons)
        return cls(verdict, reasons, score, tuple(_BY_TITLE[title] for title in titles if title))

    @property
    def text(self) -> str:
        """All reasons in one line."""
        return _SEPARATOR.join(self.reasons)


_SEPARATOR = "; "


def _title(name: str) -> str:
    title = COLUMNS[name].title
    return title[0].lower() + title[1:]


_BY_TITLE = {title: name for name, title in sorted(((n, _title(n)) for n in RULES), key=lambda each: -len(each[1]))}
"""Columns by their titles, the longest first: one may begin with another."""


@dataclass(frozen=True)
class Spread:
    """Median of a column and the distance that counts as one robust standard deviation, of logarithms if so judged."""

    median: float
    scale: float


def judge_cohort(metrics: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """A verdict for every pair.

    Parameters
    ----------
    metrics : sequence of dict
        Column to number for every finished pair; None or absent where a column does not apply.

    Returns
    -------
    list of Verdict
        In the same order.
    """
    return judge_columns(
        {name: np.array([row.get(name) for row in metrics], np.float64) for name in RULES}, len(metrics)
    )


def judge_columns(columns: Table, count: int) -> list[Verdict]:
    """The same from arrays (count,), NaN where there is no number; columns without a rule are left out."""
    table = {name: columns[name] for name in RULES if name in columns and np.isfinite(columns[name]).any()}
    distances = {name: _distance(values, RULES[name]) for name, values in table.items()}
    scores = _scores(distances, count)
    findings: defaultdict[int, list[Finding]] = defaultdict(list)
    for row, finding in _findings(table, distances):
        findings[row].append(finding)
    for row in np.flatnonzero(scores > REVIEW_SCORE).tolist():
        findings[row].append((1, 0.0, "", _together(scores[row], {name: z[row] for name, z in distances.items()})))
    return [_verdict(findings.get(row, []), score) for row, score in enumerate(scores.tolist())]


def not_compared(finished: int) -> str:
    """A line that says that so many finished pairs were not compared; empty where they were, or there are none.

    Examples
    --------
    >>> from warpline.cohort.outliers import not_compared
    >>> not_compared(8)
    '8 pairs: not compared with each other (that takes 10)'
    """
    if finished == 0 or finished >= MIN_PAIRS:
        return ""
    pairs = "1 pair: not compared with others" if finished == 1 else f"{finished} pairs: not compared with each other"
    return f"{pairs} (that takes {MIN_PAIRS})"


def spread(values: NDArray[np.float64], rule: Rule) -> Spread | None:
    """Median and scale of a column (N,) by the median absolute deviation; None when too few pairs have a number."""
    known = _compared(values, rule)
    known = known[np.isfinite(known)]
    if len(known) < MIN_PAIRS or rule.least == 0:
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

    NaN where there are too few pairs to compare.

    Correlated columns count less than independent ones; correlations are estimated from z clipped at 3 and shrunk
    towards 0, the more the fewer pairs there are.
    """
    if count < MIN_PAIRS:
        return np.full(count, np.nan)
    used = {name: z for name, z in distances.items() if z.any()}
    if not used:
        return np.zeros(count)
    z = np.clip(np.stack(list(used.values())), -3, 3)
    spreads = z.std(axis=1)
    centred = (z - z.mean(axis=1, keepdims=True)) / np.maximum(spreads, 1e-12)[:, None]
    trust = 0.9 * count / (count + len(used))
    correlation = trust * (centred @ centred.T) / count
    np.fill_diagonal(correlation, 1.0)
    worse = np.stack([np.minimum(_worse(values, RULES[name]), FAIL_Z) for name, values in used.items()])
    signed = np.where(np.stack(list(used.values())) < 0, -worse, worse)
    squared = np.einsum("cn,cn->n", signed, np.linalg.solve(correlation, signed))
    distance = np.sqrt(np.maximum(squared, 0.0))
    typical = float(np.median(distance))
    return np.asarray(distance / typical if typical > 0 else distance, dtype=np.float64)


# -- reasons ----------------------------------------------------------------------------------------------------------


def _findings(table: Table, distances: Table) -> Iterator[tuple[int, Finding]]:
    """Row and finding of every value outside a limit or far from the cohort."""
    for name, values in table.items():
        rule = RULES[name]
        limits = zip((2, 1), (rule.fail, rule.review), strict=True)
        reported = np.zeros(values.shape, np.bool_)
        for severity, (low, high) in limits:
            beyond = _beyond(values, low, high) & ~reported
            reported |= beyond
            for row in np.flatnonzero(beyond).tolist():
                yield row, (severity, np.inf, name, _outside(name, values[row], low, high))
        worse = np.where(reported, 0.0, _worse(distances[name], rule))
        for row in np.flatnonzero(worse > REVIEW_Z).tolist():
            severity = 2 if rule.decisive and worse[row] > FAIL_Z else 1
            yield row, (severity, worse[row], name, _apart(name, values, distances[name], row))


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
    severest = max((severity for severity, *_ in ordered), default=0)
    reasons, columns = tuple(reason for *_, reason in ordered), tuple(name for *_, name, _ in ordered if name)
    return Verdict(VERDICTS[severest], reasons, None if math.isnan(score) else round(score, 3), columns)


def _number(value: float) -> str:
    return f"{value:.3g}"
