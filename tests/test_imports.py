"""``import warpline`` is instant, and every public name arrives when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import warpline

HEAVY = ("numpy", "scipy", "numba", "nibabel", "matplotlib", "distributed", "pydantic", "cupy", "h5py", "SimpleITK")
HEAVY_FOR_IMAGES = ("numba", "matplotlib", "distributed", "cupy", "h5py", "SimpleITK")


def modules_after(statement):
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_imports_nothing_heavy():
    assert modules_after("import warpline").isdisjoint(HEAVY)


@pytest.mark.parametrize("statement", ["from warpline import register", "from warpline import read_image"])
def test_importing_a_name_loads_no_backend_and_no_pictures(statement):
    assert modules_after(statement).isdisjoint(HEAVY_FOR_IMAGES)


def test_a_registration_loads_no_pictures_and_no_backend():
    code = "import sys, warpline.registration; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint(
        {"scipy.interpolate", "scipy.optimize", "PIL", "contourpy", "jinja2", "rich", "numba"}
    )


@pytest.mark.parametrize("name", warpline.__all__)
def test_every_public_name_exists_and_says_what_it_is(name):
    assert getattr(warpline, name).__doc__
    assert name in dir(warpline)


def test_unknown_names_are_unknown():
    with pytest.raises(AttributeError, match="module 'warpline' has no attribute 'regsiter'"):
        _ = warpline.regsiter


def test_version_is_that_of_the_installed_package():
    assert warpline.__version__.split(".")[0].isdigit()
