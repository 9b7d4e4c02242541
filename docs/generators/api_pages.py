"""Reference of the Python interface: a page for each room that scripts use, and one for each of its public names."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import restructured as rst

ROOMS = {
    "warpline": "Registration, transforms, images",
    "warpline.dipy": "DIPY's names",
    "warpline.ants": "ANTsPy's names",
    "warpline.napari": "Reader for napari",
    "warpline.recipe": "Recipes",
    "warpline.cohort": "Cohorts",
    "warpline.template": "Templates",
    "warpline.series": "Series",
    "warpline.longitudinal": "Time points",
    "warpline.labelling": "Labels from atlases",
    "warpline.evaluation": "Evaluation",
    "warpline.images": "Intensities and foreground",
    "warpline.space": "Grids and transforms",
    "warpline.resampling": "Resampling",
    "warpline.io.transform_files": "Transform files",
    "warpline.registration": "Registration, in parts",
    "warpline.registration.judgement": "Judgement of a registration",
    "warpline.metrics": "Metrics",
    "warpline.backends": "Backends",
    "warpline.phantom": "A synthetic pair",
    "warpline.cli.main": "Commands, from Python",
}
"""Modules whose ``__all__`` is a public interface, with what the site calls them; the tests run their examples."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the list of rooms, then the page of each; autosummary writes those of the names."""
    yield "api.rst", _contents()
    homes: dict[int, str] = {}
    for room, heading in ROOMS.items():
        yield f"api/{room}.rst", _room(room, heading, homes)


def is_documented(value: object) -> bool:
    """Whether a public name has a page of its own; others are values and short names, listed on that of their room."""
    return value is not Any and (inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value))


def _contents() -> str:
    listed = "\n".join(f"{heading} <api/{room}>" for room, heading in ROOMS.items())
    rows = [(f":doc:`{room} <api/{room}>`", rst.plain(heading), _purpose(room)) for room, heading in ROOMS.items()]
    said = "Every public name, by the module it is imported from. The examples are run by the tests."
    table = rst.table(("module", "what it has", "in a sentence"), rows, "25 25 50")
    return "\n".join([rst.title("Python interface"), said, "", table, rst.block("toctree::", listed, (":hidden:",))])


def _purpose(room: str) -> str:
    """The first sentence of the docstring of a room."""
    return rst.prose((inspect.getdoc(importlib.import_module(room)) or "").partition("\n\n")[0])


def _room(room: str, heading: str, homes: dict[int, str]) -> str:
    """The page of a room; `homes` has what earlier rooms exported, by identity, and gets what this one adds."""
    module = importlib.import_module(room)
    exported = {name: getattr(module, name) for name in module.__all__}
    public = {name: value for name, value in exported.items() if is_documented(value)}
    new = [name for name, value in public.items() if id(value) not in homes]
    known = [homes[id(value)] for value in public.values() if id(value) in homes]
    homes |= {id(public[name]): f"{room}.{name}" for name in new}
    listed = [rst.block("autosummary::", "\n".join(new), (":toctree: names", ":nosignatures:"))] if new else []
    also = [f"Also here: {', '.join(f':doc:`{name} <names/{name}>`' for name in known)}.\n"] if known else []
    head = [rst.title(f"{room}: {heading}"), rst.block(f"automodule:: {room}"), f".. currentmodule:: {room}\n"]
    values = [(f"``{name}``", _explained(room, name, value)) for name, value in exported.items() if name not in public]
    others = [rst.title("Values and short names", "-"), rst.table(("name", "what"), values)] if values else []
    return "\n".join([*head, *listed, *also, *others])


def _explained(room: str, name: str, value: object) -> str:
    """What a name stands for, and the docstring below it in the source."""
    return "\n\n".join(filter(None, (_described(value), rst.prose(meaning(room, name)))))


def _described(value: object) -> str:
    """What a name stands for that is no function, class or module."""
    if isinstance(value, partial):
        given = ", ".join(f"{name}={one!r}" for name, one in value.keywords.items())
        return f"``{value.func.__name__}`` with ``{given}``"
    if isinstance(value, Mapping):
        return f"a table of {len(value)}: {', '.join(_entry(key, one) for key, one in value.items())}"
    return f"``{value!r}``"


def _entry(key: object, value: object) -> str:
    """A key of a table, with its value where that is a number or words."""
    return f"``{key}``: {rst.plain(str(value))}" if isinstance(value, int | str) else f"``{key}``"


def meaning(module: str, name: str) -> str:
    """The docstring below the assignment of a name, in the module that it is imported from; empty without any."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    for node, below in pairwise(tree.body):
        if name in _assigned(node) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            return " ".join(str(below.value.value).split())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and name in {one.name for one in node.names}:
            return meaning(node.module, name)
    return ""


def _assigned(node: ast.stmt) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {one.id for one in targets if isinstance(one, ast.Name)}
