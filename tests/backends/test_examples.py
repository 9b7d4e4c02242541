"""The examples in docstrings of the engine run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import warpline.backends
import warpline.metrics
import warpline.resampling

MODULES = [
    module.name
    for room in (warpline.backends, warpline.metrics, warpline.resampling)
    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
]


@pytest.mark.parametrize("name", [warpline.backends.__name__, *MODULES])
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
