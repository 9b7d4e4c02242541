"""Decisions of people about results, as the cohort page exports them."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection
from pathlib import Path

from warpline.cohort.cells import original
from warpline.errors import InputError
from warpline.io.compression import check_regular

DECISIONS = ("pass", "review", "fail")


def read_decisions(path: str | os.PathLike[str], wanted: Collection[str]) -> list[str]:
    """Ids that were decided as one of `wanted`; all ids of a table that has no column ``decision``.

    Parameters
    ----------
    path : path
        Tab-separated, with a column ``id`` and usually ``decision``.
    wanted : collection of str
        Some of `DECISIONS`.

    Raises
    ------
    InputError
        When it cannot be read, has no column ``id``, or holds another decision.
    """
    name = os.fspath(path)
    try:
        check_regular(Path(path))
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{name} cannot be read as a table of decisions: {reason}") from None
    if rows and "id" not in rows[0]:
        raise InputError(f"{name} has no column id; it has {', '.join(map(str, rows[0]))}")
    other = sorted({row["decision"] or "" for row in rows if "decision" in row} - {*DECISIONS, ""})
    if other:
        raise InputError(f"{name} has the decision {other[0]!r}; {', '.join(DECISIONS)} are allowed")
    return [original(row["id"] or "") for row in rows if "decision" not in row or row["decision"] in wanted]
