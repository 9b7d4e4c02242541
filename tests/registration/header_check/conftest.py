from __future__ import annotations

import pytest

from warpline.backends import select


@pytest.fixture(scope="session")
def numba():
    return select("numba", 1)
