"""Records for developers are left out of the search of the site."""

from __future__ import annotations

import pytest
import repository_links
import search_scope


@pytest.mark.parametrize(
    ("name", "left_out"),
    [("decisions/0001-name", True), ("kernel-log", True), ("guide", False), ("reference/measuring", False)],
)
def test_front_matter_tells_what_is_left_out(name, left_out):
    content = ["# Title\n"]
    search_scope.on_source_read(None, name, content)
    assert content[0].startswith("---\nnosearch: true\n---\n\n# Title") == left_out


def test_every_pattern_names_a_page_of_the_site():
    pages = {repository_links.DOCS / name for name in search_scope.LEFT_OUT if "*" not in name}
    shown = {repository_links.ROOT / page for page in repository_links.PAGES.values()}
    assert {page.with_suffix(".md") for page in pages} <= {*shown, *repository_links.DOCS.glob("*.md")}
