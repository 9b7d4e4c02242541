"""Every page of the site that is made from something else than its own text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import api_pages
import benchmark_pages
import command_pages
import recipe_page
import repository_pages

GENERATORS: tuple[Callable[[], Iterator[tuple[str, str]]], ...] = (
    api_pages.pages,
    command_pages.pages,
    recipe_page.pages,
    benchmark_pages.pages,
    repository_pages.pages,
)
"""Each yields names of files below `docs/reference/`, and their text."""


def write(docs: Path) -> None:
    """Write all pages that have changed, so that Sphinx reads only those again."""
    for generator in GENERATORS:
        for name, text in generator():
            path = docs / "reference" / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
