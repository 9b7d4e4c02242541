"""The commands that guides tell their readers to type."""

from __future__ import annotations

import re
from operator import itemgetter
from pathlib import Path

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^warpline .*$", re.MULTILINE)
_CELL = re.compile(r"^\|.*\| `(warpline [^`]*)` \|$", re.MULTILINE)

WITH_TABLES = ("coming-from.md",)
"""Pages whose tables have whole commands in their last column."""


def commands_of(page: Path) -> list[str]:
    """Every call of the program in the code blocks and tables of a page, in its order, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    found = [(cell.start(), cell[1]) for cell in _CELL.finditer(text) if page.name in WITH_TABLES]
    for block in _BLOCK.finditer(text):
        lines = _COMMAND.findall(block[2].replace("\\\n", " ")) if not block[1] else []
        found += [(block.start(), re.sub(r" +", " ", line)) for line in lines]
    return [command for _, command in sorted(found, key=itemgetter(0))]


def code_of(page: Path, language: str) -> str:
    """All code of a page in one language, in its order."""
    return "\n".join(block for of, block in _BLOCK.findall(page.read_text(encoding="utf-8")) if of == language)
