"""A finished run of the command line."""

from __future__ import annotations

import pytest

from cohort_files import command, leave_pages_out, write_brains
from cohort_fixtures import brains, finished_run, inputs, undisturbed
from warpline.cli.main import main

__all__ = ["brains", "finished_run", "inputs", "undisturbed"]

RECIPE = """
base = "rigid"
[initialise]
rotations = false
[linear]
voxel_sizes = [6.0]
iterations = [2]
samples = 1000
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Two brains, a fixed one, a recipe, and the folder of a finished run."""
    folder = tmp_path_factory.mktemp("cohort")
    write_brains(folder / "in", 2)
    (folder / "quick.toml").write_text(RECIPE)
    images = f"{folder}/in/{{id}}_T1w.nii"
    labels = ["--labels", f"{folder}/in/{{id}}_dseg.nii", "--fixed-labels", f"{folder}/in/fixed_dseg.nii"]
    assert main(["cohort", "init", images, "--fixed", f"{folder}/in/fixed.nii", *labels, "-o", f"{folder}/c.tsv"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        leave_pages_out(patch)
        assert main(command(folder, "run", "-q")) == 0
    return folder


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    leave_pages_out(monkeypatch)
