"""What is called by DIPY's names takes DIPY's arguments, in DIPY's order, with DIPY's defaults."""

from __future__ import annotations

import importlib
import inspect
from enum import Enum

import pytest

from warpline import dipy as ours

pytest.importorskip("dipy")

MODULES = tuple(
    importlib.import_module(f"dipy.{name}")
    for name in (
        "align",
        "align.imaffine",
        "align.imwarp",
        "align.metrics",
        "align.reslice",
        "segment.mask",
        "io.image",
    )
)

OWN = {"backend"}
"""Arguments that DIPY has not: they come last, by keyword."""

NAMES = [
    name
    for name in ours.__all__
    if any(callable(getattr(module, name, None)) for module in MODULES)
    and not (inspect.isclass(getattr(ours, name)) and issubclass(getattr(ours, name), (Exception, Enum)))
]


def parameters(function):
    """Names and defaults, in order, of what a decorator wrapped."""
    found = inspect.signature(inspect.unwrap(function)).parameters.values()
    return [(one.name, one.default) for one in found if one.name != "self"]


def of_dipy(name):
    return next(getattr(module, name) for module in MODULES if callable(getattr(module, name, None)))


def shared_methods(name):
    mine, real = getattr(ours, name), of_dipy(name)
    if not inspect.isclass(real):
        return [(mine, real)]
    methods = [key for key, value in vars(real).items() if inspect.isfunction(value) and key in vars(mine)]
    return [(getattr(mine, key), getattr(real, key)) for key in methods if key == "__init__" or key[0] != "_"]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_those_of_dipy(name):
    for mine, real in shared_methods(name):
        given = {key: default for key, default in parameters(mine) if key not in OWN}
        wanted = dict(parameters(real))
        assert list(given) == list(wanted), real
        defaults = {key: default for key, default in wanted.items() if default is not inspect.Parameter.empty}
        assert repr({key: given[key] for key in defaults}) == repr(defaults), real
