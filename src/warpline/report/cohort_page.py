"""The page of a cohort: one HTML file, its data as a script beside it, thumbnails in packs. No server, no network."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.errors import OutputError
from warpline.io.atomic import write_atomic
from warpline.report.page import rendered

PACK = 48
"""Thumbnails in one file."""


@dataclass(frozen=True)
class PageColumn:
    """A column of numbers.

    Parameters
    ----------
    name, title, unit, group, meaning : str
        In the results, on the page, what it is measured in, what it stands under, one sentence.
    shown : bool
        Whether the table and the plots show it at first.
    low, high : float, optional
        Outside this range a value asks for a look.
    """

    name: str
    title: str
    unit: str
    group: str
    meaning: str
    shown: bool = False
    low: float | None = None
    high: float | None = None


class PageRow(Protocol):
    """A pair of the cohort, as the page needs it; `warpline.cohort.results.PairResult` is one."""

    @property
    def id(self) -> str:
        """Of the pair."""

    @property
    def page_state(self) -> str:
        """``"pass"``, ``"review"``, ``"fail"``, ``"error"`` for pairs that did not run through, ``"todo"``."""

    @property
    def score(self) -> float | None:
        """Distance from the cohort; None where it was not compared."""

    @property
    def explanation(self) -> str:
        """Why, or what went wrong."""

    @property
    def flagged(self) -> tuple[str, ...]:
        """Columns that gave reasons."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Further columns of the manifest, as text."""


class PageGroup(Protocol):
    """Failures with the same cause; `warpline.cohort.failures.Group` is one."""

    @property
    def kind(self) -> str:
        """The class of the failures."""

    @property
    def signature(self) -> str:
        """What their messages have in common."""

    @property
    def message(self) -> str:
        """One of the messages."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Whose failures."""


@dataclass(frozen=True)
class CohortView:
    """What the page shows.

    Parameters
    ----------
    key : str
        Names the cohort wherever decisions are kept.
    title : str
        Heading.
    facts : sequence of (name, text)
        Of the run: throughput, time, versions.
    columns : sequence of PageColumn
        Those without a number anywhere are left out.
    values : dict of str to (N,)
        Numbers of every column and row, NaN where there is none.
    rows : sequence of PageRow
        In the order in which they are shown at first: worst first.
    pages : dict of int to str
        Addresses of the pages of pairs by row, relative to the cohort's.
    groups : sequence of PageGroup
        Largest first.
    thumbnails : sequence of function or None
        For each row what gives its thumbnail as WebP, where it has one.
    """

    key: str
    title: str
    facts: Sequence[tuple[str, str]]
    columns: Sequence[PageColumn]
    values: Mapping[str, NDArray[np.float64]]
    rows: Sequence[PageRow]
    pages: Mapping[int, str] = field(default_factory=dict)
    groups: Sequence[PageGroup] = ()
    thumbnails: Sequence[Callable[[], bytes] | None] = ()


def write_cohort_page(view: CohortView, folder: Path) -> Path:
    """Write ``index.html``, ``data.js`` and ``thumbs/*.js`` into a folder, which is made; returns the page.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    make_folder(folder / "thumbs")
    packs = _write_packs(view.thumbnails, folder / "thumbs")
    text = json.dumps({**_data(view), "packs": packs, "pack": PACK}, separators=(",", ":"), ensure_ascii=False)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    write_atomic(folder / "data.js", f"const COHORT = JSON.parse('{quoted}');\n".encode())
    page = folder / "index.html"
    write_atomic(page, rendered("cohort.html.j2", title=view.title, facts=view.facts).encode())
    return page


def make_folder(path: Path) -> None:
    """Make a folder where it is missing.

    Raises
    ------
    OutputError
        When it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder {path} cannot be made: {error.strerror}; choose one that is writable") from None


def _write_packs(thumbnails: Sequence[Callable[[], bytes] | None], folder: Path) -> list[int]:
    """Write packs of thumbnails as scripts that hand them over; returns the numbers of packs that hold any."""
    written = []
    for number, start in enumerate(range(0, len(thumbnails), PACK)):
        pictures = [give() if give else b"" for give in thumbnails[start : start + PACK]]
        if any(pictures):
            texts = [base64.b64encode(picture).decode("ascii") for picture in pictures]
            write_atomic(folder / f"{number}.js", f"takePack({number}, {json.dumps(texts)});\n".encode())
            written.append(number)
    for stale in {path.name for path in folder.glob("*.js")} - {f"{number}.js" for number in written}:
        (folder / stale).unlink()
    return written


def _data(view: CohortView) -> dict[str, Any]:
    """The rows turned into columns."""
    rows = view.rows
    columns = [column for column in view.columns if np.isfinite(view.values[column.name]).any()]
    places = {column.name: number for number, column in enumerate(columns)}
    row_of = {row.id: number for number, row in enumerate(rows)}
    free = dict.fromkeys(name for row in rows for name in row.columns)
    return {
        "key": view.key,
        "title": view.title,
        "columns": [{**asdict(column), "quartiles": _quartiles(view.values[column.name])} for column in columns],
        "values": [_format_numbers(view.values[column.name].tolist()) for column in columns],
        "ids": [row.id for row in rows],
        "verdicts": _factorize(row.page_state for row in rows),
        "scores": _format_numbers(math.nan if row.score is None else row.score for row in rows),
        "reasons": {number: row.explanation for number, row in enumerate(rows) if row.explanation},
        "flagged": {n: [places[c] for c in row.flagged if c in places] for n, row in enumerate(rows) if row.flagged},
        "free": {name: _factorize(row.columns.get(name, "") for row in rows) for name in free},
        "pages": view.pages,
        "groups": [
            {"kind": g.kind, "signature": g.signature, "message": g.message, "rows": [row_of[id] for id in g.ids]}
            for g in view.groups
        ],
    }


def _factorize(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Texts as their different values and the number of its value for each."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(text, len(numbers)) for text in texts]
    return {"values": list(numbers), "codes": codes}


def _quartiles(values: NDArray[np.float64]) -> list[float]:
    """Least, lower quartile, median, upper quartile and largest of the finite values."""
    return [float(q) for q in np.percentile(values[np.isfinite(values)], (0, 25, 50, 75, 100))]


def _format_numbers(values: Iterable[float]) -> str:
    """Five significant digits each, as JSON without its brackets."""
    return ",".join([f"{value:.5g}" if math.isfinite(value) else "null" for value in values])
