"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from cuda_on_cpu import emulated, pretended
from warpline.backends import numba_cache, select
from warpline.backends.cuda_backend import CudaBackend

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's business
settings.load_profile("untimed")

DATA_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="a test that skips has failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Under ``--no-skips`` what a test lacks is an error, as nobody reads what a test that skips would have said."""
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped under --no-skips: {report.longrepr[-1]}"
    return report


def pytest_configure():
    """Remove outdated compiled code as `select` does, before tests that import kernels compile theirs."""
    numba_cache.choose_cache_folder()


def emulated_backend(threads=1, **options):
    """The GPU backend with its kernels run on the CPU; needs a C++ compiler."""
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}; CXX names another one")
    return CudaBackend(emulated.EmulatedRuntime(**options))


MAKERS = {
    "numpy": lambda threads=1: select("numpy", threads),
    "numba": lambda threads=1: select("numba", threads),
    "cuda-on-cpu": emulated_backend,
    "cuda": lambda threads=1: select("cuda", threads),
}
"""What tests call a backend, to ``make(threads)``."""


def parameters(*names):
    """The named backends as parameters of a fixture; the one that needs a GPU runs only under ``-m gpu``."""
    return [pytest.param(name, marks=[pytest.mark.gpu] if name == "cuda" else []) for name in names]


@pytest.fixture(scope="session", params=parameters(*MAKERS))
def make_backend(request):
    """How to make each backend in turn."""
    return MAKERS[request.param]


@pytest.fixture(scope="session")
def backend(make_backend):
    """Each backend in turn, on one thread: tests run side by side."""
    return make_backend()


@pytest.fixture
def pretended_cupy():
    """A CuPy that pretends to have two GPUs."""
    with pretended.two_gpus() as cupy:
        yield cupy


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
