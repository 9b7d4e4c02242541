"""DIPY's own tests of ``dipy.align.imwarp`` and ``dipy.align.imaffine``, run on `warpline.dipy`.

Each module of tests is loaded afresh, and the names that it tests are replaced by ours; nothing else is changed. All
but one of the 25 pass. The longest ones, half a minute together, run when the environment variable `EVERYTHING` is set.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
from functools import cache

import pytest

from warpline import dipy as ours

pytest.importorskip("dipy.align.tests")

EVERYTHING = "WARPLINE_ALL_OF_DIPYS_TESTS"

REPLACED = {
    "test_imwarp": {"imwarp": ours, "metrics": ours, "DiffeomorphicMap": ours.DiffeomorphicMap},
    "test_imaffine": {
        "imaffine": ours,
        "AffineMap": ours.AffineMap,
        "AffineInversionError": ours.AffineInversionError,
        "AffineInvalidValuesError": ours.AffineInvalidValuesError,
    },
}
"""Modules of DIPY's tests, and the names in them that become ours."""

FAIL = {
    "test_mi_gradient": "points that leave the moving image are not compared here, where DIPY takes them for "
    "background, so that the value jumps by a point's share as one leaves; the derivative is that between two jumps",
}
"""Tests that do not pass, and why."""

LONG = (
    "test_affreg_all_transforms",
    "test_cc_3d",
    "test_em_3d_demons",
    "test_em_3d_gauss_newton",
    "test_ssd_2d_demons",
    "test_ssd_2d_gauss_newton",
)


@cache
def suite(name):
    """A module of DIPY's tests with our names in it."""
    found = importlib.util.find_spec(f"dipy.align.tests.{name}")
    spec = importlib.util.spec_from_file_location(f"dipys_{name}", found.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for replaced, by in REPLACED[name].items():
        assert hasattr(module, replaced), f"DIPY's {name} has no {replaced} any more"
        setattr(module, replaced, by)
    return module


def tests():
    """All tests of the modules, as parameters."""
    for module in REPLACED:
        for name in vars(suite(module)):
            if name.startswith("test_"):
                marks = [pytest.mark.xfail(reason=FAIL[name], strict=True)] if name in FAIL else []
                if name in LONG and not os.environ.get(EVERYTHING):
                    marks.append(pytest.mark.skip(reason=f"takes long; set {EVERYTHING}=1 to run it"))
                yield pytest.param(module, name, id=name, marks=marks)


@pytest.mark.filterwarnings("ignore")  # what DIPY's own modules warn of
@pytest.mark.parametrize(("module", "name"), tests())
def test_dipys_own(module, name):
    run = getattr(suite(module), name)
    run(None) if inspect.signature(run).parameters else run()  # its fixture of random numbers takes pytest's config


def test_the_lists_name_tests_of_dipy():
    names = {name for module in REPLACED for name in vars(suite(module))}
    assert {*FAIL, *LONG} <= names
