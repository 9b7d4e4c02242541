"""Tables of participants (BIDS), joined to the pairs of a cohort: their columns go along to manifest and results."""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from warpline.cohort.manifest import Pair, abbreviate, resembles_used
from warpline.cohort.results import RESULT_COLUMNS
from warpline.cohort.tables import is_missing, read_lines, unescape
from warpline.errors import InputError

_log = logging.getLogger(__name__)

PARTICIPANTS = "participants.tsv"
"""The table of a BIDS dataset."""

_ID = "participant_id"
_SUBJECT = re.compile(r"sub-([A-Za-z0-9]+)")
_DELIMITERS = {".csv": ","}


def participant_of(id: str) -> str:
    """The participant of a pair, by its id: ``sub-01`` of ``sub-01_ses-2``; other ids are those of participants."""
    found = _SUBJECT.match(id)
    return found[0] if found else id


def join_participants(pairs: Sequence[Pair], path: str | os.PathLike[str]) -> list[Pair]:
    """Append the columns of a table of participants to those of pairs; cells that are missing stay so.

    A column whose name is that of another one, or of a result, becomes ``participants_<name>``, and a warning says so;
    where all cells are equal it is the same column. So does a warning name pairs that have no row.

    Parameters
    ----------
    pairs : sequence of Pair
        Each belongs to the participant in its id.
    path : path
        Tab-separated, or ``.csv``, with a column ``participant_id``: ``sub-01`` or ``01``.

    Raises
    ------
    InputError
        When the table cannot be read, or has no row for any pair.
    """
    rows = _read(path)
    labels = [_label(participant_of(pair.id)) for pair in pairs]
    absent = [pair.id for pair, label in zip(pairs, labels, strict=True) if label not in rows]
    if len(absent) == len(pairs):
        raise InputError(
            f"{os.fspath(path)} has no row for any pair: it has {abbreviate(list(rows))}, the pairs are "
            f"{abbreviate(absent)}; {_ID} must be the subject label of an id"
        )
    if absent:
        _log.warning("%s has no row for %s", os.fspath(path), abbreviate(absent))
    found = [rows.get(label, {}) for label in labels]
    names = _names(pairs, found, os.fspath(path))
    return [
        replace(pair, columns={**pair.columns, **{names[name]: cell for name, cell in cells.items()}})
        for pair, cells in zip(pairs, found, strict=True)
    ]


def _read(path: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Cells that hold a value by column, of every participant by label."""
    name = os.fspath(path)
    try:
        header, *lines = list(read_lines(Path(path), _DELIMITERS.get(Path(path).suffix, "\t"))) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{name} cannot be read as a table of participants: {reason}") from None
    if not header:
        raise InputError(f"{name} is empty; a table with a column {_ID} is needed")
    columns = [unescape(cell.strip()) for cell in header]
    if _ID not in columns or len(set(columns)) < len(columns) or "" in columns:
        raise InputError(
            f"{name} has the columns {', '.join(columns)}; {_ID} is needed, and every column with a name of its own"
        )
    rows: dict[str, dict[str, str]] = {}
    for number, line in enumerate((line for line in lines if any(line)), 2):
        if len(line) != len(columns):
            raise InputError(f"{name}, row {number}: {len(line)} cells where the header has {len(columns)} columns")
        cells = {column: unescape(cell.strip()) for column, cell in zip(columns, line, strict=True)}
        label = _label(cells.pop(_ID))
        if label in rows:
            raise InputError(f"{name}, row {number}: {_ID} {label!r} stands in two rows; every participant needs one")
        rows[label] = {column: cell for column, cell in cells.items() if not is_missing(cell)}
    return rows


def _label(participant: str) -> str:
    return participant.removeprefix("sub-")


def _names(pairs: Sequence[Pair], found: Sequence[Mapping[str, str]], path: str) -> dict[str, str]:
    """What each column of the table is called among those of the pairs."""
    there = {name for pair in pairs for name in pair.columns}
    names: dict[str, str] = {}
    for name in dict.fromkeys(name for cells in found for name in cells):
        same = name in there and all(
            pair.columns.get(name) == cells.get(name) for pair, cells in zip(pairs, found, strict=True)
        )
        clashes = name in there or name in RESULT_COLUMNS or resembles_used(name) is not None
        names[name] = f"participants_{name}" if clashes and not same else name
        if names[name] != name:
            _log.warning("%s: column %r is called %r, the name is taken", path, name, names[name])
    return names
