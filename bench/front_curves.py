"""Fronts of overlap against roughness: what a tool reaches at another one's roughness, pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

Row = dict[str, Any]
OURS = "warpline"


@dataclass(frozen=True)
class Point:
    """One setting of a tool: how rough its maps are (bending energy, say), and the Dice that they reach."""

    roughness: float
    dice: float


def front(points: Iterable[Point]) -> list[Point]:
    """The points that no smoother one equals in Dice, from smooth to rough."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.roughness, -point.dice)):
        if not kept or point.dice > kept[-1].dice:
            kept.append(point)
    return kept


def dice_at(points: Iterable[Point], roughness: float) -> float | None:
    """Dice that a front reaches with maps no rougher than this.

    Between its points it is linear in the logarithm of roughness. Beyond its roughest point it is the Dice of that
    point; None where even the smoothest is rougher.
    """
    kept = front(points)
    if not kept or roughness < kept[0].roughness:
        return None
    known = np.log([point.roughness for point in kept])
    return float(np.interp(np.log(roughness), known, [point.dice for point in kept]))


@dataclass(frozen=True)
class Lead:
    """How far the front of `OURS` lies above one setting of another tool, at that setting's roughness.

    Attributes
    ----------
    tool, setting : str
        Of the other tool.
    roughness, dice, lead : float
        Means over the pairs that can be compared.
    least : float
        Lead on the pair where it is least.
    compared, pairs : int
        Pairs on which our front begins at or below that roughness, and all pairs that both tools have.
    """

    tool: str
    setting: str
    roughness: float
    dice: float
    lead: float
    least: float
    compared: int
    pairs: int


def leads(rows: Sequence[Row], roughness: str = "bending", dice: str = "dice") -> list[Lead]:
    """The lead at every setting of every other tool, where any pair can be compared.

    Parameters
    ----------
    rows : sequence of dict
        Rows of results with ``tool``, ``setting``, ``pair`` and ``scores``; those without either score are passed
        over.
    roughness, dice : str
        Which scores are meant.
    """
    scored = [row for row in rows if {roughness, dice} <= row.get("scores", {}).keys()]
    ours = {pair: _points(rows_of(scored, OURS, pair=pair), roughness, dice) for pair in pairs_of(scored)}
    found = []
    for tool, setting in settings_of(scored):
        theirs = {row["pair"]: row for row in rows_of(scored, tool, setting) if ours[row["pair"]]}
        points = {pair: Point(row["scores"][roughness], row["scores"][dice]) for pair, row in theirs.items()}
        if tool != OURS and (lead := _lead(tool, setting, ours, points)):
            found.append(lead)
    return found


def _lead(tool: str, setting: str, ours: dict[str, list[Point]], theirs: dict[str, Point]) -> Lead | None:
    reached = {pair: dice_at(ours[pair], point.roughness) for pair, point in theirs.items()}
    ahead = {pair: dice - theirs[pair].dice for pair, dice in reached.items() if dice is not None}
    if not ahead:
        return None
    compared = [theirs[pair] for pair in ahead]
    return Lead(
        tool,
        setting,
        roughness=fmean(point.roughness for point in compared),
        dice=fmean(point.dice for point in compared),
        lead=fmean(ahead.values()),
        least=min(ahead.values()),
        compared=len(ahead),
        pairs=len(theirs),
    )


def _points(rows: Iterable[Row], roughness: str, dice: str) -> list[Point]:
    return [Point(row["scores"][roughness], row["scores"][dice]) for row in rows]


def rows_of(rows: Iterable[Row], tool: str, setting: str | None = None, pair: str | None = None) -> list[Row]:
    """Rows of a tool, of one of its settings, on one pair."""
    wanted = {"tool": tool, "setting": setting, "pair": pair}
    return [row for row in rows if all(value is None or row[name] == value for name, value in wanted.items())]


def settings_of(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Every tool and setting, each once, in order."""
    return list(dict.fromkeys((row["tool"], row["setting"]) for row in rows))


def pairs_of(rows: Iterable[Row]) -> list[str]:
    """Every pair, each once, in order."""
    return sorted({row["pair"] for row in rows})


def on_all_pairs(rows: Sequence[Row]) -> list[Row]:
    """Rows of the settings that were run on every pair."""
    scored = [row for row in rows if "scores" in row]
    every = set(pairs_of(scored))
    return [row for row in scored if set(pairs_of(rows_of(scored, row["tool"], row["setting"]))) == every]


def on_common_pairs(rows: Sequence[Row]) -> list[Row]:
    """Rows whose means can be compared: the pairs that most settings have, two at least if any has, and those settings.

    A setting that was run on fewer of these pairs is left out.
    """
    scored = [row for row in rows if "scores" in row]
    seen = {setting: {row["pair"] for row in rows_of(scored, *setting)} for setting in settings_of(scored)}
    choices = [one & other for one in seen.values() for other in seen.values()]

    def worth(pairs: set[str]) -> tuple[int, int, int]:
        return min(len(pairs), 2), sum(pairs <= have for have in seen.values()), len(pairs)

    chosen = max(choices, key=worth, default=set())
    whole = {setting for setting, have in seen.items() if chosen <= have}
    return [row for row in scored if row["pair"] in chosen and (row["tool"], row["setting"]) in whole]
