"""Every public name has one page of its own."""

from __future__ import annotations

import ast
import importlib
import json
import re

import api_pages
import guide_commands
from repository_links import DOCS, ROOT

import test_docstrings

PAGES = dict(api_pages.pages())
LISTED = [
    f"{name.removeprefix('api/').removesuffix('.rst')}.{line.strip()}"
    for name, text in PAGES.items()
    for block in re.findall(r"autosummary::\n.*?\n\n((?:   [^\n]*\n)+)", text, re.DOTALL)
    for line in block.splitlines()
]


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


def test_values_are_listed_with_what_they_mean():
    row = PAGES["api/warpline.backends.rst"].split("* - ``Array``")[1].split("* -")[0]
    assert "NumPy's on the CPU" in row
    assert "``17``: left hippocampus" in PAGES["api/warpline.phantom.rst"]
    assert api_pages.meaning("warpline.dipy", "rigid") == ""


def test_the_list_of_rooms_says_what_each_is_for():
    assert all(f":doc:`{room} <api/{room}>`" in PAGES["api.rst"] for room in api_pages.ROOMS)
    assert "whether a registration can be trusted." in PAGES["api.rst"].lower()


def code_for_readers():
    """Python of the guides and the examples, by file."""
    for page in (*sorted(DOCS.glob("*.md")), ROOT / "README.md"):
        yield page.name, guide_commands.code_of(page, "python")
    for script in sorted((ROOT / "examples").rglob("*.py")):
        yield script.name, script.read_text(encoding="utf-8")
    for notebook in sorted((ROOT / "examples").rglob("*.ipynb")):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        yield notebook.name, "\n".join("".join(one["source"]) for one in cells if one["cell_type"] == "code")


def names_used(code):
    """Full names of everything of the package that code imports, or takes from a module that it imported."""
    tree = ast.parse(code)
    modules = {"warpline": "warpline"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {one.asname: one.name for one in node.names if one.asname and one.name.startswith("warpline.")}
            yield from (one.name for one in node.names if one.name.startswith("warpline."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "warpline":
            full = {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
            modules |= {name: one for name, one in full.items() if one in api_pages.ROOMS}
            yield from full.values()
    dotted = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    chains = (one.partition(".") for one in dotted if re.fullmatch(r"[\w.]+", one))
    yield from (f"{modules[head]}.{rest}" for head, _, rest in chains if head in modules)


def has_page(name):
    """Whether a name is a room, is in one, or belongs to what is in one."""
    room = max((one for one in api_pages.ROOMS if f"{name}.".startswith(f"{one}.")), key=len)
    first = name.removeprefix(room).strip(".").partition(".")[0]
    return first in ("", *importlib.import_module(room).__all__)


def test_what_guides_and_examples_import_has_a_page():
    used = {(name, file) for file, code in code_for_readers() for name in names_used(code)}
    assert {("warpline.phantom.brain_pair", "sizes.py"), ("warpline.Recipe.load", "guide.md")} <= used
    assert {one for one in used if not has_page(one[0])} == set()
    assert not has_page("warpline.registration.syn.level_schedule") and not has_page("warpline.no_such_name")
