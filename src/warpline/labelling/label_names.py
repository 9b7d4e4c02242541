"""Names of labels: tables as BIDS has them, and colour tables of FreeSurfer."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warpline.errors import InputError
from warpline.io.compression import check_regular

NameSource = str | os.PathLike[str] | Mapping[int, str]
"""A table, or names by label."""


def read_label_names(source: NameSource) -> tuple[dict[int, str], dict[str, Any]]:
    """Names by label, and what a report says of where they come from.

    Parameters
    ----------
    source : path or dict
        ``.tsv`` or ``.csv`` with columns ``index`` and ``name``, as ``dseg.tsv`` of BIDS has them; or lines of number
        and name, as FreeSurfer's colour tables; or the names themselves.

    Raises
    ------
    InputError
        When a table cannot be read or names nothing.

    Examples
    --------
    >>> from pathlib import Path
    >>> from warpline.labelling.label_names import read_label_names
    >>> _ = Path("colours.txt").write_text("17 Left-Hippocampus 220 216 20 0")
    >>> read_label_names("colours.txt")[0]
    {17: 'Left-Hippocampus'}
    """
    if isinstance(source, Mapping):
        return {int(number): str(name) for number, name in source.items()}, {}
    path = Path(source)
    try:
        check_regular(path)
        text = path.read_text(encoding="utf-8-sig")
        names = _of_table(text, path) if path.suffix in (".tsv", ".csv") else _of_lines(text)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read as a table of labels: {reason}") from None
    if not names:
        raise InputError(
            f"{path} names no label; a table with columns index and name is needed, or lines of a number and a name"
        )
    return names, {"label_names": {"path": os.fspath(source)}}


def _of_table(text: str, path: Path) -> dict[int, str]:
    rows = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix == ".tsv" else ",")
    cells = [(row.get("index"), row.get("name")) for row in rows]
    return {int(number): name for number, name in cells if name and number and number.strip().isdecimal()}


def _of_lines(text: str) -> dict[int, str]:
    words = [line.split() for line in text.splitlines()]
    return {int(line[0]): line[1] for line in words if len(line) > 1 and line[0].isdecimal()}
