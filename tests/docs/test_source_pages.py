"""Links back from sources lead to pages, wherever names are exported from."""

from __future__ import annotations

import source_pages

LINK = '<a class="{}" href="../reference/api/names/warpline.Grid.html#warpline.space.Grid">[docs]</a>'


def body_of(name, text):
    context = {"body": text}
    source_pages.lead_back_to_pages(None, name, "page.html", context, None)
    return context["body"]


def test_links_back_lead_to_a_page_and_to_no_place_on_it():
    back = LINK.format("viewcode-back")
    assert body_of("_modules/warpline/space/grid", back) == back.replace("#warpline.space.Grid", "")


def test_other_links_stay():
    assert body_of("guide", LINK.format("viewcode-back")) == LINK.format("viewcode-back")
    assert body_of("_modules/warpline/space/grid", LINK.format("reference")) == LINK.format("reference")
