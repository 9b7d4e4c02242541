"""What tests of registration share: the backends, and one finished run of a small pair."""

from __future__ import annotations

import pytest

from conftest import MAKERS, parameters
from made_registrations import QUICK, made_pair
from warpline.io.images import write_image
from warpline.registration import Job, result, run


@pytest.fixture(scope="session", params=parameters("numpy", "numba", "cuda"))
def make_backend(request):
    """How to make each backend but the emulated GPU.

    Registrations are slow on that; it is tested operation by operation, and as a whole in backends/test_agreement.py.
    """
    return MAKERS[request.param]


@pytest.fixture(scope="session")
def backend(make_backend):
    """Each of those; without this, the fixture of the same name for all tests would use its own `make_backend`."""
    return make_backend()


@pytest.fixture(scope="session")
def paths(tmp_path_factory):
    """Paths of the fixed and the moving image."""
    folder = tmp_path_factory.mktemp("pair")
    paths = folder / "fixed.nii.gz", folder / "moving.nii.gz"
    for image, path in zip(made_pair(), paths, strict=True):
        write_image(image, path)
    return paths


@pytest.fixture(scope="session")
def finished(paths, tmp_path_factory):
    """Folder, job, registration and progress of one run."""
    folder = tmp_path_factory.mktemp("finished")
    job = Job(*paths, prefix=f"{folder}/sub-01_", recipe=QUICK, threads=2)
    seen = []
    return folder, job, run(job, seen.append), seen


@pytest.fixture
def no_align(monkeypatch):
    """Nothing may be computed."""

    def refuse(*_, **__):
        raise AssertionError("computed before the check")

    monkeypatch.setattr(result, "align", refuse)
