"""The pair that tests of the phantom look at."""

import pytest

from warpline.phantom import brain_pair


@pytest.fixture(scope="package")
def pair():
    return brain_pair()
