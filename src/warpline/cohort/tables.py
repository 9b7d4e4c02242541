"""Tab-separated tables: missing values, cells that are safe in spreadsheets, lines read and written.

A cell that begins with ``=``, ``+``, ``-`` or ``@`` and is no number is a formula to spreadsheets, and a formula can
start programs and fetch addresses. Such a text gets an apostrophe in front, which spreadsheets take as "text follows".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from warpline.io.compression import check_regular

MISSING = "n/a"
"""A missing value, as BIDS writes it."""

_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001  # spreadsheets take the wide forms of East Asian keyboards too
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARK = "'"


def is_missing(cell: str) -> bool:
    """Whether a cell holds no value."""
    return cell in ("", MISSING)


def escape(text: str) -> str:
    """A text as it is written into a table, with formulas marked as text."""
    bare = text.lstrip(_MARK)
    runs = bare.startswith(_FORMULA) and not (bare == text and _NUMBER.fullmatch(text))
    return _MARK + text if runs else text


def unescape(cell: str) -> str:
    """The text that `escape` wrote."""
    text = cell.removeprefix(_MARK)
    return text if text != cell and escape(text) == cell else cell


def read_lines(path: Path, delimiter: str = "\t") -> Iterator[list[str]]:
    """Cells of every line of a table, as they are written; quotes count in comma-separated tables only.

    Raises
    ------
    InputError
        When it is no regular file.
    OSError, UnicodeDecodeError, csv.Error
        When it cannot be read.
    """
    check_regular(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        if delimiter == "\t":
            yield from csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        else:
            yield from csv.reader(file, delimiter=delimiter)


def encode_table(header: Iterable[str], lines: Iterable[Iterable[Any]]) -> bytes:
    """The content of a tab-separated table: numbers with six significant digits, white space as single spaces."""
    rows = ["\t".join(map(escape, header)), *("\t".join(map(_cell, line)) for line in lines)]
    return "".join(f"{row}\n" for row in rows).encode()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return MISSING if value is None else escape(" ".join(str(value).split())) or MISSING
