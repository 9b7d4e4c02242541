"""Tables of decisions: pairs to leave out, and pairs to run again though they are done."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from warpline.cohort.manifest import abbreviate
from warpline.cohort.outliers import VERDICTS
from warpline.cohort.tables import read_lines, unescape
from warpline.errors import InputError

_log = logging.getLogger(__name__)

Table = str | os.PathLike[str]
"""A file of decisions."""

Decisions = tuple[Sequence[str], Sequence[str] | None]
"""Ids to leave out, and ids to run again though they are done; None where no table of such was given."""


def read_decided_ids(exclude_from: Table | None, retry_from: Table | None, known: Collection[str] | None) -> Decisions:
    """Ids from tables of decisions; a warning names ids that are none of the known ones, where these are given.

    Raises
    ------
    InputError
        When a table cannot be read.
    """
    exclude = () if exclude_from is None else read_decisions(exclude_from, ("fail",))
    again = None if retry_from is None else read_decisions(retry_from, ("review", "fail"))
    if known is not None:
        _name_unknown(known, {"exclude-from": exclude, "retry-from": again or ()})
    return exclude, again


def read_decisions(path: Table, wanted: Collection[str]) -> list[str]:
    """Ids that were decided as one of `wanted`; all ids of a table that has no column ``decision``.

    Parameters
    ----------
    path : path
        Tab-separated, with a column ``id`` and usually ``decision``.
    wanted : collection of str
        Some of `warpline.cohort.outliers.VERDICTS`.

    Raises
    ------
    InputError
        When it cannot be read, has no column ``id``, or holds another decision.
    """
    rows = _rows(path)
    return [unescape(row["id"]) for row in rows if "decision" not in row or row["decision"] in wanted]


def read_verdicts(path: Table, known: Collection[str]) -> dict[str, str]:
    """The decision on every pair of a table, by id; those that were left open are left out.

    Parameters
    ----------
    path : path
        Tab-separated, with the columns ``id`` and ``decision``.
    known : collection of str
        Ids of the cohort; a warning names those that are none of them.

    Raises
    ------
    InputError
        When it cannot be read, lacks a column, or holds another decision than `warpline.cohort.outliers.VERDICTS`.
    """
    rows = _rows(path)
    if rows and "decision" not in rows[0]:
        raise InputError(f"{os.fspath(path)} has no column decision; {', '.join(VERDICTS)} are allowed there")
    decided = {unescape(row["id"]): row["decision"] for row in rows if row["decision"]}
    _name_unknown(known, {"decisions": list(decided)})
    return decided


def _rows(path: Table) -> list[dict[str, str]]:
    """The rows of a table of decisions."""
    name = os.fspath(path)
    try:
        header, *lines = list(read_lines(Path(path))) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{name} cannot be read as a table of decisions: {reason}") from None
    rows = [dict(zip_longest(header, line[: len(header)], fillvalue="")) for line in lines if line]
    if rows and "id" not in header:
        raise InputError(f"{name} has no column id; it has {', '.join(header)}")
    other = sorted({row["decision"] for row in rows if "decision" in row} - {*VERDICTS, ""})
    if other:
        raise InputError(f"{name} has the decision {other[0]!r}; {', '.join(VERDICTS)} are allowed")
    return rows


def _name_unknown(known: Collection[str], decided: Mapping[str, Sequence[str]]) -> None:
    """Warn of decisions about pairs that are none of this cohort."""
    for name, ids in decided.items():
        unknown = [id for id in ids if id not in known]
        if unknown:
            _log.warning("--%s names %s, no pairs of this cohort", name, abbreviate(unknown))
