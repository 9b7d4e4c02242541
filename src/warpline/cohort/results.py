"""The tables of an output folder, read again: columns of numbers as arrays, so that fifty thousand pairs fit."""

from __future__ import annotations

import csv
import math
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.cohort.cells import original
from warpline.cohort.json_lines import read_object
from warpline.cohort.layout import FAILURES, RESULTS
from warpline.cohort.outliers import judge_columns
from warpline.cohort.quality import COLUMNS, RUN_COLUMNS
from warpline.errors import InputError
from warpline.io.compression import check_regular

NUMBERS = {**COLUMNS, **RUN_COLUMNS}
"""Columns of numbers in the results."""

MISSING = frozenset({"", "n/a"})

_ORDER = ("error", "fail", "review", "pass", "todo")

_STATUSES = ("ok", "failed", "excluded", "todo")
_NEEDED = frozenset({"id", "status", "verdict", "reasons", "fixed", "moving", "sidecar"})
"""Columns that every table of results has."""

Row = Mapping[str, str]
"""What a row says besides its numbers: column to text."""


@dataclass(frozen=True)
class Results:
    """The results of a cohort, worst first.

    Parameters
    ----------
    rows : sequence of dict
        Texts of every row.
    values : dict of str to (N,)
        Numbers of every row, NaN where there is none.
    flagged : dict of int to tuple of str
        Columns that gave the reasons for a verdict.
    failures : dict of str to dict
        Rows of ``failures.tsv`` by id.
    """

    rows: Sequence[Row]
    values: Mapping[str, NDArray[np.float64]]
    flagged: Mapping[int, tuple[str, ...]]
    failures: Mapping[str, Row]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read the tables of an output folder.

        Raises
        ------
        InputError
            When there are none, or they are damaged.
        """
        rows, values = _read_results(folder / RESULTS)
        order = sorted(range(len(rows)), key=lambda at: _gravity(rows[at], float(values["score"][at])))
        rows, values = [rows[at] for at in order], {name: column[order] for name, column in values.items()}
        done = [at for at, row in enumerate(rows) if is_done(row)]
        verdicts = judge_columns({name: column[done] for name, column in values.items()}, len(done))
        ids = {row["id"] for row in rows}
        flagged = {at: verdict.columns for at, verdict in zip(done, verdicts, strict=True) if verdict.columns}
        path = folder / FAILURES
        failures = {row["id"]: row for row in _failures(path) if row["id"] in ids}
        return cls(rows, values, flagged, failures)

    def ranked(self) -> dict[str, NDArray[np.float64]]:
        """Finite numbers of every column in order, for percentiles."""
        return {name: np.sort(column[np.isfinite(column)]) for name, column in self.values.items()}


def is_done(row: Row) -> bool:
    """Whether a pair ran through."""
    return row["status"] == "ok"


def kind_of(row: Row) -> str:
    """The verdict of a pair that ran through; ``"error"`` or ``"todo"`` of others."""
    return row["verdict"] if is_done(row) else "error" if row["status"] == "failed" else "todo"


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing when it is missing or damaged."""
    return read_object(path) or {}


def _gravity(row: Row, score: float) -> tuple[int, float]:
    return _ORDER.index(kind_of(row)), -score if math.isfinite(score) else 0.0


def _read_results(path: Path) -> tuple[list[Row], dict[str, NDArray[np.float64]]]:
    """Texts and numbers of a table of results."""
    columns = {name: array("d") for name in (*NUMBERS, "score")}
    rows: list[Row] = []
    for row in _rows(path):
        _check_row(row, path)
        for name, column in columns.items():
            column.append(_number(row.pop(name, ""), path))
        rows.append({sys.intern(name): sys.intern(text) for name, text in row.items()})
    return rows, {name: np.array(column, np.float64) for name, column in columns.items()}


def _failures(path: Path) -> Iterator[Row]:
    for row in _rows(path) if path.exists() else ():
        if not row.keys() >= {"id", "class", "signature", "message"}:
            raise InputError(f"{path} is damaged; write it anew with warpline cohort report")
        yield row


def _check_row(row: Row, path: Path) -> None:
    """Refuse a row that no run has written."""
    known = row.keys() >= _NEEDED and row["status"] in _STATUSES
    if not known or (row["status"] == "ok" and row["verdict"] not in _ORDER):
        raise InputError(f"{path} is damaged; write it anew with warpline cohort report")


def _number(text: str, path: Path) -> float:
    try:
        return math.nan if text in MISSING else float(text)
    except ValueError:
        raise InputError(
            f"{path} holds {text!r} where a number is needed; write it anew with warpline cohort report"
        ) from None


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a table; a column whose name was there before becomes ``manifest <name>``."""
    try:
        check_regular(path)
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            given = [original(name) for name in next(lines, [])]
            names = [f"manifest {name}" if name in given[:at] else name for at, name in enumerate(given)]
            for line in lines:
                yield dict(zip(names, map(original, line), strict=True))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give the output folder of a cohort") from None
    except (ValueError, csv.Error):
        raise InputError(f"{path} is damaged; write it anew with warpline cohort report") from None
