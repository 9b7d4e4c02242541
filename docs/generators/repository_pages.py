"""Files beside `docs/` that the site shows as pages: contributing, changes, how things are measured."""

from __future__ import annotations

from collections.abc import Iterator

import repository_links


def pages() -> Iterator[tuple[str, str]]:
    """Yield a copy of each, its links changed to work from where it is shown."""
    reference = repository_links.DOCS / "reference"
    for name, page in repository_links.PAGES.items():
        source, target = repository_links.ROOT / name, repository_links.ROOT / page
        if target.parent == reference:
            yield target.name, repository_links.for_page(source.read_text(encoding="utf-8"), source, target)
