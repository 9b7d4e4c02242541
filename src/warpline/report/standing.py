"""What a pair's page says about the pair's place in its cohort."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Measure:
    """One number of a pair.

    Parameters
    ----------
    title, unit, meaning, group : str
        What it is called, measured in, means, and stands under.
    value : float or None
        None where it does not apply.
    percentile : float or None
        Its place in the cohort, 0 to 100.
    flagged : bool
        Whether it gave a reason for the verdict.
    """

    title: str
    unit: str
    meaning: str
    group: str
    value: float | None
    percentile: float | None = None
    flagged: bool = False


@dataclass(frozen=True)
class Standing:
    """A pair in its cohort.

    Parameters
    ----------
    id : str
        Of the pair.
    cohort : str
        Names the cohort wherever decisions are kept.
    pairs : int
        How many have these measures.
    verdict : str
        ``"pass"``, ``"review"`` or ``"fail"``.
    reasons : tuple of str
        Why, in words.
    measures : tuple of Measure
        In the order of their groups.
    index : str
        Address of the cohort's page.
    previous, next : str, optional
        Addresses of the neighbours' pages, worst first.
    """

    id: str
    cohort: str
    pairs: int
    verdict: str
    reasons: tuple[str, ...]
    measures: tuple[Measure, ...]
    index: str
    previous: str | None = None
    next: str | None = None

    def groups(self) -> Iterator[tuple[str, list[Measure]]]:
        """Measures under the names of their groups."""
        for name, members in groupby(self.measures, key=lambda measure: measure.group):
            yield name, list(members)
