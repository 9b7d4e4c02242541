"""Cells of tables: texts that a spreadsheet would run are written so that it does not, and read back as they were.

A cell that begins with ``=``, ``+``, ``-`` or ``@`` and is no number is a formula to spreadsheets, and a formula can
start programs and fetch addresses. Such a text gets an apostrophe in front, which spreadsheets take as "text follows".
"""

from __future__ import annotations

import re

_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001  # spreadsheets take the wide forms of East Asian keyboards too
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARK = "'"


def safe(text: str) -> str:
    """A text as it is written into a table."""
    bare = text.lstrip(_MARK)
    runs = bare.startswith(_FORMULA) and not (bare == text and _NUMBER.fullmatch(text))
    return _MARK + text if runs else text


def original(cell: str) -> str:
    """The text that `safe` wrote."""
    text = cell.removeprefix(_MARK)
    return text if text != cell and safe(text) == cell else cell
