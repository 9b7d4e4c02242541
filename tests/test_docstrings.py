"""Public names say what they are, and the examples in their docstrings run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import matplotlib
import pytest
from api_pages import ROOMS, is_documented

matplotlib.use("Agg")

ENGINE = ("warpline.backends", "warpline.metrics", "warpline.resampling")
"""Rooms that show in examples, here and there, what a function does."""


def public(room):
    """Name and object of every function and class of a room that is documented by itself."""
    module = importlib.import_module(room)
    found = {name: getattr(module, name) for name in module.__all__}
    return {name: one for name, one in found.items() if is_documented(one) and not inspect.ismodule(one)}


def has_example(one):
    """Whether a docstring has an example; exceptions need none, and a class has that of the class it derives from."""
    if inspect.isclass(one) and issubclass(one, Exception):
        return True
    bases = one.__mro__ if inspect.isclass(one) else (one,)
    return any(
        ">>>" in (base.__dict__.get("__doc__") or "" if inspect.isclass(base) else base.__doc__) for base in bases
    )


def modules_of(package):
    """Names of a package and of its modules."""
    path = importlib.import_module(package).__path__
    return [package, *(module.name for module in pkgutil.iter_modules(path, f"{package}."))]


NAMES = {one: f"{room}.{name}" for room in reversed(ROOMS) for name, one in public(room).items()}
EXAMPLES = {name: one for one, name in NAMES.items()}
"""Every public object once, by the name in the first of the rooms that export it."""


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_have_an_example(room):
    lacking = {name for name, one in public(room).items() if not has_example(one)}
    assert lacking == set()


def test_public_functions_describe_their_parameters():
    functions = {name: one for name, one in EXAMPLES.items() if inspect.isfunction(one)}
    lacking = {
        name
        for name, one in functions.items()
        if inspect.signature(one).parameters and "Parameters\n" not in (one.__doc__ or "")
    }
    assert lacking == set()


@pytest.mark.parametrize("module", [module for room in ENGINE for module in modules_of(room)])
def test_examples_of_the_engine_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    runner = doctest.DocTestRunner(verbose=False)
    said = []
    for test in doctest.DocTestFinder().find(EXAMPLES[name], name, module=False, globs={}):
        runner.run(test, out=said.append)
    assert "".join(said) == ""
