"""Run SciPy's own tests of interpolation on our functions: ``python scipys_tests.py BACKEND CHOSEN`` tells the counts.

SciPy's module of tests is collected by pytest as it is; only the name `ndimage` in it becomes ours.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

MODULE = "scipy.ndimage.tests.test_interpolation"


class Ours:
    """A plugin for pytest that puts our functions in place of SciPy's and counts what comes of the tests."""

    def __init__(self, backend):
        self.functions = SimpleNamespace(**vars(ndimage) | functions(backend))
        self.counts = Counter()
        self.failed = []

    def pytest_collection_modifyitems(self, items):
        for item in items:
            item.module.ndimage = self.functions

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1
            self.failed += [report.nodeid.partition("::")[2]] if report.failed else []


def functions(backend):
    """`map_coordinates`, `affine_transform` and, by the coefficients of a backend, `spline_filter`."""
    from warpline.backends.splines import SplineOptions
    from warpline.resampling import affine_transform, map_coordinates

    def on(function):
        return lambda *given, **named: function(*given, **named, backend=backend)

    def spline_filter(input, order=3, output=np.float64, mode="mirror"):
        if not hasattr(backend, "spline_coefficients"):
            return ndimage.spline_filter(input, order, output, mode)
        with backend.session():
            found = backend.spline_coefficients(backend.upload(np.asarray(input)), SplineOptions(order, mode))
            return backend.download(found).astype(output)

    ours = {"map_coordinates": on(map_coordinates), "affine_transform": on(affine_transform)}
    return ours | {"spline_filter": spline_filter}


def main(name, chosen):
    """Run them and print the counts and the names of those that failed, as JSON."""
    from conftest import MAKERS

    ours = Ours(MAKERS[name]())
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts="]  # our strict markers are not SciPy's
    pytest.main([*options, "--pyargs", MODULE, "-k", chosen], plugins=[ours])
    sys.stdout.write(json.dumps({**ours.counts, "names": ours.failed}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
