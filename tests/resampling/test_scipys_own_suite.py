"""SciPy's own tests of `map_coordinates`, `affine_transform`, boundaries and splines, run on our functions.

They run in a process of their own. Those that repeat the filter for every dtype, and one that needs 4 GB, run when the
environment variable `EVERYTHING` is set, and so do all of them on the CPU, where these small arrays are SciPy's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import parameters
from cuda_on_cpu import emulated

pytest.importorskip("scipy.ndimage.tests")

EVERYTHING = "WARPLINE_ALL_OF_SCIPYS_TESTS"
TESTS = Path(__file__).resolve().parents[1]
CORE = "(map_coordinates or affine_transform or oundar or MapCoordinates or AffineTransform) and not large_data"
ALL = "map_coordinates or affine_transform or oundar or SplineOptions or MapCoordinates or AffineTransform"
LEAST = {CORE: 280, ALL: 475}
"""Tests that there are at the least."""


@pytest.mark.parametrize("name", parameters("numpy", "cuda-on-cpu", "cuda"))
def test_scipys_own(name):
    if name == "cuda-on-cpu" and not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")
    if name == "numpy" and not os.environ.get(EVERYTHING):
        pytest.skip(f"set {EVERYTHING}=1 to run it")
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    chosen = ALL if os.environ.get(EVERYTHING) else CORE
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("scipys_tests.py"), name, chosen],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    counts = json.loads(result.stdout.splitlines()[-1])
    assert counts.pop("names") == [], result.stdout[-4000:]
    assert set(counts) == {"passed"}
    assert counts["passed"] >= LEAST[chosen]
