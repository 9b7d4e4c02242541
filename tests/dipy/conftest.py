"""A synthetic brain for the tests of this room."""

from __future__ import annotations

import pytest

from warpline.phantom import brain_pair


@pytest.fixture(scope="module")
def brain():
    return brain_pair((44, 48, 44), voxel_size=3.5).fixed
