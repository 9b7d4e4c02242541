"""What the search of the site leaves out: logs and records for developers, which name every word of the field."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LEFT_OUT = ("ablations", "decisions/*", "kernel-log", "reference/changes", "reference/contributing")
"""Patterns of the names of such pages, all in Markdown."""


def on_source_read(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Tell Sphinx to leave a page out, as front matter of Markdown says it."""
    if any(fnmatchcase(docname, pattern) for pattern in LEFT_OUT):
        content[0] = f"---\nnosearch: true\n---\n\n{content[0]}"
