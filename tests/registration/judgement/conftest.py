"""Judgements take many looks: the emulated GPU, checked operation by operation, takes one look in test_interior.py."""

from __future__ import annotations

import pytest

from conftest import MAKERS, parameters


@pytest.fixture(scope="session", params=parameters("numpy", "numba", "cuda"))
def make_backend(request):
    """How to make each backend in turn, but for the emulated GPU."""
    return MAKERS[request.param]


@pytest.fixture(scope="session")
def backend(make_backend):
    """Each of them."""
    return make_backend()
