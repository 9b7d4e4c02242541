"""Links of guides that lead out of `docs/`, as a code host shows them, made to lead to pages of the site."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

PAGES = {
    "README.md": "docs/index.md",
    "CONTRIBUTING.md": "docs/reference/contributing.md",
    "CHANGELOG.md": "docs/reference/changes.md",
    "bench/README.md": "docs/reference/measuring.md",
    "bench/results/front.md": "docs/reference/front.md",
    "bench/results/compare-cpu.md": "docs/reference/compare-cpu.md",
    "docs/decisions": "docs/development.md",
    "examples/tutorials": "docs/tutorials/index.rst",
}
"""Files and folders of the repository, and the pages of the site that show them."""

FILES = DOCS / "reference" / "files"
"""Folder of the pages that show one file of the repository each."""

LEXERS = {
    ".cu": "cuda",
    ".json": "json",
    ".nf": "groovy",
    ".py": "python",
    ".toml": "toml",
    ".yml": "yaml",
    "Snakefile": "python",
}
"""Endings, or whole names, of files that get such a page, and how they are highlighted; all others are downloads."""

LONGEST = 2**16
"""Bytes of the longest file that is shown."""

_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#|<)([^)\s#]+)")


def for_page(text: str, source: Path, page: Path) -> str:
    """Return Markdown of `source` with links that work from `page`."""

    def replace(link: re.Match[str]) -> str:
        target = (source.parent / link[2]).resolve()
        return link[1] + relative(page_of(target), page) if target.exists() else link[0]

    return _LINK.sub(replace, text)


def linked(text: str, source: Path) -> Iterator[Path]:
    """Yield the files and folders that Markdown of `source` leads to."""
    targets = ((source.parent / link[2]).resolve() for link in _LINK.finditer(text))
    return (target for target in targets if target.exists())


def page_of(target: Path) -> Path:
    """The page that shows a file or folder of the repository; itself where none does: then it becomes a download."""
    name = target.relative_to(ROOT).as_posix()
    return FILES / f"{name}.rst" if lexer_of(target) else ROOT / PAGES.get(name, name)


def lexer_of(target: Path) -> str | None:
    """How a file that gets a page of its own is highlighted; None for others."""
    lexer = LEXERS.get(target.suffix or target.name)
    return lexer if target.is_file() and target.stat().st_size <= LONGEST else None


def relative(target: Path, page: Path) -> str:
    """Where `target` is, seen from `page`."""
    return Path(os.path.relpath(target, page.parent)).as_posix()


def on_source_read(app: Sphinx, docname: str, content: list[str]) -> None:
    """Rewrite the links of a hand-written page while Sphinx reads it."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md" and DOCS in path.parents:
        content[0] = for_page(content[0], path, path)
