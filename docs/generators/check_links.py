"""Every link of the built site that leads into it leads to a file that is there, and to a place that is on that page.

python docs/generators/check_links.py build/site
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

FROM_ELSEWHERE = frozenset({"img", "iframe", "link", "script", "source", "video"})
"""Elements that a browser loads by itself: none may come from another host."""


class Page(HTMLParser):
    """What a page links to, and the places on it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.places = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take links and identifiers of one element."""
        given = dict(attrs)
        self.places |= {value for name in ("id", "name") if (value := given.get(name))}
        self.links += [(tag, value) for name in ("href", "src") if (value := given.get(name))]


def broken(site: Path) -> Iterator[str]:
    """Yield a line for every link that leads nowhere, and for everything loaded from another host."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    pages = {path: page for path, page in pages.items() if path.parent.name != "_static"}  # pieces of the theme
    for path, page in pages.items():
        for tag, link in page.links:
            fault = _fault(path, tag, link, pages)
            if fault:
                yield f"{path.relative_to(site)}: {link} {fault}"


def _fault(path: Path, tag: str, link: str, pages: dict[Path, Page]) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        loaded = tag in FROM_ELSEWHERE and parts.scheme in ("", "http", "https")
        return "is loaded from another host" if loaded else None
    name, place = urldefrag(link)
    target = (path.parent / unquote(name.partition("?")[0])).resolve() if name else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return "leads to no file"
    if target in pages and unquote(place) not in pages[target].places:
        return "leads to no place of that page"
    return None


def main(arguments: list[str]) -> int:
    """Print what is broken; the exit code is 1 where there is something."""
    (folder,) = arguments or ["build/site"]
    found = sorted(set(broken(Path(folder).resolve())))
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.stdout.write(f"{len(found)} broken links\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
