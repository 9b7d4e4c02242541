"""Pieces of reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import indent


def title(text: str, line: str = "=") -> str:
    """A heading; `line` says of which level."""
    return f"{text}\n{line * len(text)}\n"


def plain(text: str) -> str:
    """Text without any markup of its own."""
    return re.sub(r"([\\*`|_<>])", r"\\\1", text)


def prose(text: str) -> str:
    """Text of a docstring: what stands in backticks is code, a full name leads to its page; no other markup."""
    parts = re.split(r"`+", text)
    return "".join(_code(part) if place % 2 else plain(part) for place, part in enumerate(parts))


def _code(text: str) -> str:
    return f":py:obj:`{text}`" if re.fullmatch(r"warpline(\.\w+)+", text) else f"``{text}``"


def block(directive: str, body: str = "", options: Sequence[str] = ()) -> str:
    """A directive such as ``code-block:: console`` with what belongs to it indented."""
    head = "\n".join([f".. {directive}", *(f"   {option}" for option in options)])
    return f"{head}\n\n{indent(body.strip(chr(10)), '   ')}\n" if body else f"{head}\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], widths: str = "auto") -> str:
    """A table; cells may hold markup, and several lines."""
    return block("list-table::", "\n".join(map(_row, (headings, *rows))), (":header-rows: 1", f":widths: {widths}"))


def _row(cells: Sequence[str]) -> str:
    return "\n".join(f"{'*' if not place else ' '} - {_cell(cell)}" for place, cell in enumerate(cells))


def _cell(text: str) -> str:
    return text.replace("\n", "\n    ")
