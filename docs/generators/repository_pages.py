"""Files beside `docs/` that the site shows as pages: contributing, changes, how things are measured, linked sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import repository_links
import restructured as rst
from repository_links import DOCS, FILES, PAGES, ROOT

REFERENCE = DOCS / "reference"


def pages() -> Iterator[tuple[str, str]]:
    """Yield a copy of each text, its links changed to work from where it is shown, and of each file that one links."""
    copied = {ROOT / name: ROOT / page for name, page in PAGES.items() if (ROOT / page).parent == REFERENCE}
    for source, page in copied.items():
        yield page.name, repository_links.for_page(source.read_text(encoding="utf-8"), source, page)
    written = (path for path in DOCS.rglob("*.md") if not path.is_relative_to(REFERENCE))
    for name in sorted({name for text in (*copied, *written) for name in _shown(text)}):
        yield (FILES / f"{name}.rst").relative_to(REFERENCE).as_posix(), _file(name)


def _shown(text: Path) -> Iterator[str]:
    """Files with a page of their own that a text links."""
    for target in repository_links.linked(text.read_text(encoding="utf-8"), text):
        if repository_links.lexer_of(target):
            yield target.relative_to(ROOT).as_posix()


def _file(name: str) -> str:
    """The page of a file: in no table of contents, and not searched."""
    lexer, there = repository_links.lexer_of(ROOT / name), repository_links.relative(ROOT / name, FILES / f"{name}.rst")
    head = [":orphan:", ":nosearch:", "", rst.title(rst.plain(name)), f":download:`Download <{there}>`", ""]
    return "\n".join([*head, rst.block(f"literalinclude:: {there}", "", (f":language: {lexer}",))])
