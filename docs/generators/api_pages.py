"""Reference of the Python interface: a page for each room that scripts use, and one for each of its public names."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from functools import partial

import restructured as rst

ROOMS = {
    "warpline": "Registration, transforms, images",
    "warpline.dipy": "DIPY's names",
    "warpline.ants": "ANTsPy's names",
    "warpline.napari": "Reader for napari",
    "warpline.cohort": "Cohorts",
    "warpline.template": "Templates",
    "warpline.series": "Series",
    "warpline.longitudinal": "Time points",
    "warpline.evaluation": "Evaluation",
    "warpline.images": "Intensities and foreground",
    "warpline.io.transform_files": "Transform files",
    "warpline.registration": "Registration, in parts",
    "warpline.registration.judgement": "Judgement of a registration",
}
"""Modules whose ``__all__`` is a public interface, with what the site calls them."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the list of rooms, then the page of each; autosummary writes those of the names."""
    yield "api.rst", _contents()
    homes: dict[int, str] = {}
    for room, heading in ROOMS.items():
        yield f"api/{room}.rst", _room(room, heading, homes)


def _contents() -> str:
    rooms = rst.block("toctree::", "\n".join(f"{heading} <api/{room}>" for room, heading in ROOMS.items()))
    said = "Every public name, by the module it is imported from. The examples are run by the tests."
    return f"{rst.title('Python interface')}\n{said}\n\n{rooms}"


def _room(room: str, heading: str, homes: dict[int, str]) -> str:
    """The page of a room; `homes` has what earlier rooms exported, by identity, and gets what this one adds."""
    module = importlib.import_module(room)
    exported = {name: getattr(module, name) for name in module.__all__}
    public = {name: value for name, value in exported.items() if _is_documented(value)}
    new = [name for name, value in public.items() if id(value) not in homes]
    known = [homes[id(value)] for value in public.values() if id(value) in homes]
    homes |= {id(public[name]): f"{room}.{name}" for name in new}
    listed = rst.block("autosummary::", "\n".join(new), (":toctree: names", ":nosignatures:"))
    also = [f"Also here: {', '.join(f':doc:`{name} <names/{name}>`' for name in known)}.\n"] if known else []
    head = [rst.title(f"{room}: {heading}"), rst.block(f"automodule:: {room}"), f".. currentmodule:: {room}\n"]
    values = [(f"``{name}``", _described(value)) for name, value in exported.items() if name not in public]
    others = [rst.title("Values and short names", "-"), rst.table(("name", "what"), values)] if values else []
    return "\n".join([*head, listed, *also, *others])


def _described(value: object) -> str:
    """What a name stands for that is no function, class or module."""
    if isinstance(value, partial):
        given = ", ".join(f"{name}={one!r}" for name, one in value.keywords.items())
        return f"``{value.func.__name__}`` with ``{given}``"
    if isinstance(value, Mapping):
        return f"a table of {len(value)}: {', '.join(f'``{key}``' for key in value)}"
    return f"``{value!r}``"


def _is_documented(value: object) -> bool:
    return inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value)
