"""Fixtures for tests of cohorts: brains, a finished run, copies that a test may change."""

from __future__ import annotations

import shutil

import pytest

from cohort_files import COUNT, asked, leave_pages_out, outputs, pairs_in, write_brains
from warpline.cohort import run


@pytest.fixture
def no_pages(monkeypatch):
    """The pages have tests of their own."""
    leave_pages_out(monkeypatch)


@pytest.fixture(scope="session")
def brains(tmp_path_factory):
    """Images that no test changes."""
    return write_brains(tmp_path_factory.mktemp("brains") / "in")


@pytest.fixture
def inputs(brains, tmp_path):
    """A copy of the images, with the same dates, that a test may damage."""
    return shutil.copytree(brains, tmp_path / "in")


@pytest.fixture(scope="session")
def finished_run(brains, tmp_path_factory):
    """The output folder of a run in which nothing happened; it lies where `inputs` and ``out`` of a test would."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(brains, folder / "in")
    with pytest.MonkeyPatch.context() as patch:
        leave_pages_out(patch)
        summary = run(pairs_in(folder / "in"), folder / "out", asked())
    assert summary.counts["done"] == COUNT and summary.exit_code == 0
    return folder / "out"


@pytest.fixture(scope="session")
def undisturbed(finished_run):
    """The outputs of that run."""
    return outputs(finished_run)


@pytest.fixture
def done(finished_run, inputs, tmp_path):
    """A copy of that folder that a test may change, beside `inputs`."""
    return shutil.copytree(finished_run, tmp_path / "out")
