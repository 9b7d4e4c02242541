"""Solvers run for long: the emulated GPU, checked operation by operation and in test_agreement.py, is left out."""

from __future__ import annotations

import pytest

from conftest import MAKERS, parameters


@pytest.fixture(scope="session", params=parameters("numpy", "numba", "cuda"))
def make_backend(request):
    """How to make each backend in turn, but for the emulated GPU."""
    return MAKERS[request.param]


@pytest.fixture(scope="session")
def backend(make_backend):
    """Each of them; the one of all tests is kept for the session with whatever it was made from first."""
    return make_backend()
