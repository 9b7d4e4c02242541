"""What a run leaves, before the judge of BIDS; it needs no network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cohort_files import asked, leave_pages_out, pairs_in
from warpline.cohort import run
from warpline.cohort.sidecars import skull_stripped


@pytest.fixture
def validator():
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.exists():
        pytest.skip("no BIDS validator here; install the extra test")
    return program


@pytest.fixture
def out(inputs, tmp_path):
    """A run with labels and a session, its pages, and a pair that fails."""
    first, second, third = (replace(pair, session="1") for pair in pairs_in(inputs)[:3])
    first = replace(first, moving_labels=first.moving.replace("_T1w", "_dseg"))
    shutil.copy(second.moving, inputs / "sub-02_brain.nii")
    (inputs / "broken.nii").write_bytes(b"broken")
    pairs = [
        first,
        replace(second, moving=str(inputs / "sub-02_brain.nii")),
        replace(third, moving=f"{inputs}/broken.nii"),
    ]
    run(pairs, tmp_path / "out", asked())
    return tmp_path / "out"


def test_outputs_are_valid_derivatives(out, validator):
    done = subprocess.run([validator, str(out), "--format", "json"], capture_output=True, text=True, timeout=120)
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [(one["code"], one.get("subCode"), one["location"]) for one in issues if one["severity"] == "error"]
    assert errors == []
    assert "01" in json.loads(done.stdout)["summary"]["subjects"]  # of 02, BIDS knows no file by its suffix


def test_sidecars_name_the_reference_and_the_skull(out):
    image = json.loads((out / "sub-01/ses-1/anat/sub-01_ses-1_space-fixed_desc-registered_T1w.json").read_text())
    assert image["SpatialReference"].endswith("in/fixed.nii") and image["SkullStripped"] is False
    assert image["SkullStrippedBecause"].startswith("assumed")
    labels = json.loads((out / "sub-01/ses-1/anat/sub-01_ses-1_space-fixed_desc-registered_dseg.json").read_text())
    assert labels["SpatialReference"] == image["SpatialReference"] and labels["Sources"][0].endswith("sub-01_dseg.nii")
    brain = json.loads((out / "sub-02/ses-1/anat/sub-02_ses-1_space-fixed_desc-registered_brain.json").read_text())
    assert brain["SkullStripped"] is True
    assert (out / "sub-01/figures/sub-01_ses-1_space-fixed_desc-registered_T1w.webp").exists()


@pytest.mark.parametrize(
    ("name", "said", "stripped"),
    [
        ("sub-1_T1w.nii.gz", None, False),
        ("sub-1_T1w.nii.gz", {"SkullStripped": True}, True),
        ("sub-1_desc-brain_T1w.nii", {"SkullStripped": False}, False),
        ("sub-1_desc-brain_T1w.nii", {"SkullStripped": "yes"}, True),
        ("t1_brain.nii.gz", [], True),
        ("brainstem.nii", None, False),
    ],
)
def test_a_sidecar_is_believed_before_a_name(tmp_path, name, said, stripped):
    if said is not None:
        (tmp_path / f"{name.partition('.')[0]}.json").write_text(json.dumps(said))
    assert skull_stripped(str(tmp_path / name))[0] is stripped


@pytest.fixture(autouse=True)
def no_page(monkeypatch):
    leave_pages_out(monkeypatch)
