"""Links of guides that lead out of `docs/`, as a code host shows them, made to lead to pages of the site."""

from __future__ import annotations

import os
import re
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

_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#|<)([^)\s#]+)")


def for_page(text: str, source: Path, page: Path) -> str:
    """Return Markdown of `source` with links that work from `page`; other files of the repository become downloads."""

    def replace(link: re.Match[str]) -> str:
        target = (source.parent / link[2]).resolve()
        if not target.exists():
            return link[0]
        name = str(target.relative_to(ROOT))
        target = ROOT / PAGES.get(name, name)
        return link[1] + os.path.relpath(target, page.parent)

    return _LINK.sub(replace, text)


def on_source_read(app: Sphinx, docname: str, content: list[str]) -> None:
    """Rewrite the links of a hand-written page while Sphinx reads it."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md" and DOCS in path.parents:
        content[0] = for_page(content[0], path, path)
