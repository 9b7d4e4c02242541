from __future__ import annotations

import pytest

from warpline.phantom import brain_pair


@pytest.fixture(scope="session")
def phantom():
    """A small pair of synthetic brains."""
    return brain_pair((48, 56, 48), voxel_size=4.0)
