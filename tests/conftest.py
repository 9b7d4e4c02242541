"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from warpline.backends import BACKENDS, select
from warpline.errors import DeviceError

DATA_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", params=tuple(BACKENDS))
def backend(request):
    """Each backend in turn, on two threads."""
    try:
        return select(request.param, threads=2)
    except DeviceError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def numpy_backend():
    """The specification."""
    return select("numpy")


@pytest.fixture(scope="session")
def data_folder():
    """Folder of real brains beside the repository, for the tests that need one."""
    if not DATA_FOLDER.is_dir():
        pytest.skip("no real brains: ../shared/data is missing")
    return DATA_FOLDER
