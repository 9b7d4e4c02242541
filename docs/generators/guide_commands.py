"""The commands and the Python that guides tell their readers to type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^warpline .*$", re.MULTILINE)
_CELL = re.compile(r"^\|.*\| `(warpline [^`]*)` \|$", re.MULTILINE)

WITH_TABLES = ("coming-from.md",)
"""Pages whose tables have whole commands in their last column."""

SHELL = ("", "console")
"""Languages of blocks with commands."""


@dataclass(frozen=True)
class Step:
    """A command, or a block of Python, and the line of the page that it begins at."""

    line: int
    code: str
    python: bool = False


def guides() -> list[Path]:
    """The README and the pages of docs/ that have commands or Python."""
    return [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if steps_of(page)]


def steps_of(page: Path) -> list[Step]:
    """Every call of the program and every block of Python, in the order of the page; continued lines are joined."""
    text = page.read_text(encoding="utf-8")
    found = [Step(_line(text, cell.start()), cell[1]) for cell in _CELL.finditer(text) if page.name in WITH_TABLES]
    for block in _BLOCK.finditer(text):
        line = _line(text, block.start(2))
        if block[1] == "python":
            found.append(Step(line, block[2], python=True))
        elif block[1] in SHELL:
            found += [Step(line, command) for command in _commands(block[2])]
    return sorted(found, key=attrgetter("line"))


def commands_of(page: Path) -> list[str]:
    """The commands alone."""
    return [step.code for step in steps_of(page) if not step.python]


def code_of(page: Path, language: str) -> str:
    """All code of a page in one language, in its order."""
    return "\n".join(block for of, block in _BLOCK.findall(page.read_text(encoding="utf-8")) if of == language)


def running_text(page: Path) -> str:
    """What stands outside blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def _commands(block: str) -> list[str]:
    return [re.sub(r" +", " ", line) for line in _COMMAND.findall(block.replace("\\\n", " "))]


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
