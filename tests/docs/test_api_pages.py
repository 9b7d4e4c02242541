"""Every public name has one page of its own."""

from __future__ import annotations

import importlib
import re

import api_pages

import test_docstrings

PAGES = dict(api_pages.pages())
LISTED = [
    f"{name.removeprefix('api/').removesuffix('.rst')}.{line.strip()}"
    for name, text in PAGES.items()
    for block in re.findall(r"autosummary::\n.*?\n\n((?:   [^\n]*\n)+)", text, re.DOTALL)
    for line in block.splitlines()
]


def test_rooms_are_those_whose_docstrings_are_tested():
    assert api_pages.ROOMS.keys() == set(test_docstrings.ROOMS)


def test_every_object_has_a_page_and_only_one():
    rooms = {room: importlib.import_module(room) for room in api_pages.ROOMS}
    objects = [getattr(rooms[name.rpartition(".")[0]], name.rpartition(".")[2]) for name in LISTED]
    assert len({id(one) for one in objects}) == len(objects)
    public = {id(one) for room in api_pages.ROOMS for one in test_docstrings.public(room).values()}
    assert public <= {id(one) for one in objects}


def test_a_second_home_links_to_the_first():
    assert ":doc:`warpline.register <names/warpline.register>`" in PAGES["api/warpline.registration.rst"]


def test_every_other_name_is_listed_with_what_it_stands_for():
    for room in api_pages.ROOMS:
        module = importlib.import_module(room)
        others = set(module.__all__) - test_docstrings.public(room).keys()
        page = PAGES[f"api/{room}.rst"]
        assert [name for name in others if f"* - ``{name}``" not in page and f"\n   {name}\n" not in page] == []
    assert "* - ``rigid``\n     - ``affine_registration`` with ``pipeline=" in PAGES["api/warpline.dipy.rst"]
