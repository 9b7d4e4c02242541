"""The cohort context of a pair's page: its verdict, and each measure among those of the other pairs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from warpline.io.atomic import write_atomic


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
class CohortContext:
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
    displacement : float, optional
        Length in mm that the map of displacements shows brightest: one for the whole cohort.
    source : str
        Name of the dataset, for people; empty where it has none.
    not_compared : str
        Says so where there are too few pairs to compare this one with; empty otherwise.
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
    displacement: float | None = None
    source: str = ""
    not_compared: str = ""


def write_context_script(context: CohortContext, path: Path, text_of: Callable[[float | None], str]) -> None:
    """Write the script that gives a pair's page its cohort context, unless it is the same already.

    Parameters
    ----------
    context : CohortContext
        What the page shall say.
    path : Path
        The script, beside the page and of its name.
    text_of : callable
        How numbers are written.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    measures = [{**asdict(measure), "text": text_of(measure.value)} for measure in context.measures]
    record = json.dumps({**asdict(context), "measures": measures}, separators=(",", ":"))
    content = f"const STANDING = {record};\n".encode()
    if not path.exists() or path.read_bytes() != content:
        write_atomic(path, content)
