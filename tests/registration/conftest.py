"""Solvers run for long: the emulated GPU, checked operation by operation and in test_agreement.py, is left out."""

from __future__ import annotations

import pytest

from conftest import MAKERS, parameters
from small_jobs import QUICK, made_pair
from warpline.io.images import write_image
from warpline.registration import Job, result, run


@pytest.fixture(scope="session", params=parameters("numpy", "numba", "cuda"))
def make_backend(request):
    """How to make each backend in turn, but for the emulated GPU."""
    return MAKERS[request.param]


@pytest.fixture(scope="session")
def backend(make_backend):
    """Each of them; the one of all tests is kept for the session with whatever it was made from first."""
    return make_backend()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Paths of the fixed and the moving image."""
    folder = tmp_path_factory.mktemp("pair")
    paths = folder / "fixed.nii.gz", folder / "moving.nii.gz"
    for image, path in zip(made_pair(), paths, strict=True):
        write_image(image, path)
    return paths


@pytest.fixture(scope="session")
def done(files, tmp_path_factory):
    """Folder, job, registration and progress of one run."""
    folder = tmp_path_factory.mktemp("done")
    job = Job(*files, prefix=f"{folder}/sub-01_", recipe=QUICK, threads=2)
    seen = []
    return folder, job, run(job, seen.append), seen


@pytest.fixture
def no_align(monkeypatch):
    """Nothing may be computed."""

    def refuse(*_, **__):
        raise AssertionError("computed before the check")

    monkeypatch.setattr(result, "align", refuse)
