"""The files of one pair: sidecars, displacements, labels, headers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cohort_files import QUICK, asked, pairs_in, rows
from warpline import read_transform
from warpline import recipe as recipes
from warpline.cohort import Options, run
from warpline.cohort.steps import skull_stripped
from warpline.evaluation import inverse_error
from warpline.images import Image
from warpline.io.images import read_image, write_image

pytestmark = pytest.mark.usefixtures("no_pages")

TESTS = Path(__file__).parents[1]


def test_a_sidecar_says_everything_without_absolute_paths(undisturbed):
    sidecar = undisturbed["sub-02/anat/sub-02_space-fixed_desc-registration_qc.json"]
    assert sidecar["id"] == "sub-02" and sidecar["status"] == "ok" and sidecar["numerics"] == recipes.NUMERICS
    assert sidecar["Sources"][1] == "../in/sub-02_T1w.nii"
    assert sidecar["SpatialReference"] == "../in/fixed.nii"
    assert sidecar["outputs"]["warped"] == "sub-02/anat/sub-02_space-fixed_desc-registered_T1w.nii.gz"
    assert set(sidecar["sha256"]) == {"fixed", "moving"}
    assert sidecar["metrics"]["ncc_after"] is not None
    assert str(TESTS.parent) not in json.dumps(sidecar) and "/tmp" not in json.dumps(sidecar)


def test_displacements_are_rounded_unless_asked_otherwise(inputs, tmp_path):
    pairs = pairs_in(inputs)[:1]
    found, reports = {}, {}
    for warps in ("forward", "rounded", "full", "none"):
        run(pairs, tmp_path / warps, asked(warps=warps))
        paths = sorted((tmp_path / warps).rglob("*warp_xfm.nii.gz"), key=lambda path: "from-fixed" in path.name)
        found[warps] = [np.asarray(nibabel.load(path).dataobj) for path in paths]
        reports[warps] = json.loads(next((tmp_path / warps).rglob("*_qc.json")).read_text())
    assert {warps: len(fields) for warps, fields in found.items()} == {"forward": 1, "rounded": 2, "full": 2, "none": 0}
    np.testing.assert_array_equal(found["forward"][0], found["rounded"][0])
    inside = read_image(inputs / "fixed_dseg.nii").data != 0
    for rounded, full in zip(found["rounded"], found["full"], strict=True):
        np.testing.assert_array_equal(rounded * 64, np.round(rounded * 64))
        assert np.abs(rounded - full).max() <= 1 / 4
        assert 0 < np.abs(rounded - full)[inside].max() <= 1 / 128
    assert reports["rounded"]["rounding_mm"] == {
        "content": 1 / 64,
        "near_folds": 1 / 1024,
        "elsewhere": 1 / 2,
        "margin_voxels": 3,
    }
    assert "rounding_mm" not in reports["full"]
    assert reports["rounded"]["quality"]["folded_voxels"] == 0
    assert reports["rounded"]["quality"] == reports["forward"]["quality"] != reports["full"]["quality"]


def test_displacements_within_a_budget_are_not_rounded(inputs, tmp_path):
    recipe = asked().recipe.with_options("budget.max_strain=1.5", "budget.jacobian=[0.01, 100]")
    found = {}
    for warps in ("forward", "rounded"):
        run(pairs_in(inputs)[:1], tmp_path / warps, asked(warps=warps, recipe=recipe))
        paths = sorted((tmp_path / warps).rglob("*warp_xfm.nii.gz"), key=lambda path: "from-fixed" in path.name)
        found[warps] = [np.asarray(nibabel.load(path).dataobj) for path in paths]
        report = json.loads(next((tmp_path / warps).rglob("*_qc.json")).read_text())
        assert report["budget"]["kept"] and "rounding_mm" not in report
        (row,) = rows(tmp_path / warps).values()
        assert 0 < float(row["budget_strain"]) <= 1.5 and row["budget_bending"] == "n/a"
        assert float(row["budget_jacobian_min"]) < 1 < float(row["budget_jacobian_max"])
        assert 0 < float(row["budget_used"]) <= 1
    assert len(found["forward"]) == 1 and len(found["rounded"]) == 2
    np.testing.assert_array_equal(found["forward"][0], found["rounded"][0])
    assert not np.array_equal(found["rounded"][0] * 64, np.round(found["rounded"][0] * 64))


def test_the_uncertainty_is_written_and_stands_in_the_results(inputs, undisturbed, tmp_path):
    recipe = asked().recipe.with_options("uncertainty.runs=2")
    run(pairs_in(inputs)[:1], tmp_path, asked(recipe=recipe))
    (path,) = tmp_path.rglob("*_desc-uncertainty_xfm.nii.gz")
    report, spread = json.loads(next(tmp_path.rglob("*_qc.json")).read_text()), read_image(path)
    assert path.name == "sub-01_from-T1w_to-fixed_mode-image_desc-uncertainty_xfm.nii.gz"
    assert report["outputs"]["uncertainty"] == str(path.relative_to(tmp_path))
    (row,) = rows(tmp_path).values()
    numbers = [float(row[f"uncertainty_{name}"]) for name in ("median", "p95", "max")]
    assert numbers == pytest.approx([report["uncertainty"][name] for name in ("median", "p95", "largest")], rel=1e-5)
    assert 0 < numbers[0] < numbers[2] <= spread.data.max() and 0 < float(row["spread"]) < 1
    assert (
        undisturbed["sub-01/anat/sub-01_space-fixed_desc-registration_qc.json"]["metrics"]["uncertainty_median"] is None
    )


def test_pairs_are_prepared_and_written_as_given(inputs, tmp_path):
    settings = "prepare.bias_correction=n4", "prepare.winsorise=[0.05, 0.95]", "prepare.match_histogram=true"
    recipe = asked().recipe.with_options(*settings)
    run(pairs_in(inputs)[:2], tmp_path, asked(recipe=recipe))
    reports = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("*_qc.json"))]
    assert len(reports) == 2
    for report in reports:
        done = [(one["image"], one["method"]) for one in report["preparation"]]
        expected = [(image, method) for image in ("fixed", "moving") for method in ("n4", "winsorise")]
        assert done == [*expected, ("moving", "match_histogram")]
        assert str(inputs) not in json.dumps(report)
        assert report["recipe"]["prepare"]["bias_correction"] == "n4"
    assert reports[0]["preparation"][:2] == reports[1]["preparation"][:2] != reports[0]["preparation"][2:]
    brightest = read_image(inputs / "sub-01_T1w.nii").data.max()
    assert read_image(next(tmp_path.rglob("sub-01*registered_T1w.nii.gz"))).data.max() > 0.95 * brightest


def test_rounded_maps_are_measured_inside_the_fixed_mask(inputs, tmp_path):
    labels = read_image(inputs / "fixed_dseg.nii")
    mask = Image((labels.data == labels.data.max()).astype(np.uint8), labels.grid)
    write_image(mask, inputs / "mask.nii")
    run([replace(pairs_in(inputs)[0], fixed_mask=str(inputs / "mask.nii"))], tmp_path / "out", asked())
    forward, inverse = (
        read_transform(next((tmp_path / "out").rglob(f"*from-{name}_*warp_xfm.nii.gz"))) for name in ("fixed", "T1w")
    )
    expected = max(inverse_error(*maps, labels.grid, mask).mean for maps in ((forward, inverse), (inverse, forward)))
    assert float(rows(tmp_path / "out")["sub-01"]["inverse_error_mean"]) == pytest.approx(expected, rel=1e-3)


def test_masks_and_weights_may_lie_on_any_grid(inputs, tmp_path):
    """Measured is inside the mask as it was resampled, which the report says."""
    labels = read_image(inputs / "fixed_dseg.nii")
    part = labels.grid.cropped((1, 1, 1), labels.grid.shape)
    write_image(Image((labels.data[1:, 1:, 1:] > 0).astype(np.uint8), part), inputs / "part.nii")
    marks = dict.fromkeys(("fixed_mask", "fixed_weights"), str(inputs / "part.nii"))
    run([replace(pairs_in(inputs)[0], **marks)], tmp_path / "out", asked())
    sidecar = json.loads(next((tmp_path / "out").rglob("*_qc.json")).read_text())
    assert "was resampled by nearest neighbour" in json.dumps(sidecar)
    assert {"fixed_mask", "fixed_weights"} <= sidecar["sha256"].keys()


def test_labels_are_carried_and_scored(inputs, tmp_path):
    pairs = [
        replace(
            pair,
            moving_labels=pair.moving.replace("_T1w", "_dseg"),
            fixed_labels=str(inputs / "fixed_dseg.nii"),
            columns={"age": "31", "site": "A B"},
        )
        for pair in pairs_in(inputs)[:1]
    ]
    run(pairs, tmp_path / "out", asked())
    warped = read_image(tmp_path / "out/sub-01/anat/sub-01_space-fixed_desc-registered_dseg.nii.gz")
    given = read_image(pairs[0].moving_labels)
    assert warped.data.dtype == given.data.dtype and set(np.unique(warped.data)) <= set(np.unique(given.data))
    row = rows(tmp_path / "out")["sub-01"]
    assert 0.3 < float(row["dice"]) <= 1
    assert (row["age"], row["site"]) == ("31", "A B")


def test_outputs_never_replace_inputs(inputs, tmp_path):
    pair = pairs_in(inputs)[0]
    run([pair], tmp_path / "out", asked())
    warped = tmp_path / "out/sub-01/anat/sub-01_space-fixed_desc-registered_T1w.nii.gz"
    before = warped.read_bytes()
    again = replace(pair, moving=str(warped))
    summary = run([again], tmp_path / "out", asked())
    assert summary.groups[0].kind == "input_error" and "would overwrite the input" in summary.groups[0].message
    assert warped.read_bytes() == before


def test_header_notes_are_reported_once_for_all_pairs(inputs, tmp_path):
    fixed = nibabel.load(inputs / "fixed.nii", mmap=False)
    fixed.set_sform(fixed.affine, 4)
    fixed.set_qform(np.diag((1, -1, 1, 1)) @ fixed.affine, 1)
    nibabel.save(fixed, inputs / "fixed.nii")
    out, pairs = tmp_path / "out", pairs_in(inputs)[:2]
    (note,) = run(pairs, out, asked()).notes
    assert "fixed.nii: its voxels are placed by the sform (code 4)" in note and note.endswith("(and alike in 2 pairs)")
    sidecar = next(out.rglob("*desc-registration_qc.json"))
    assert json.loads(sidecar.read_text())["inputs"]["fixed"]["matrix"] == "sform"
    assert run(pairs, out, asked()).finished == 0
    assert run(pairs, out, asked(geometry="qform")).finished == 2
    report = json.loads(sidecar.read_text())
    assert report["geometry"] == report["inputs"]["fixed"]["matrix"] == "qform"
    assert any("placed by the qform (code 1)" in text for text in report["warnings"])


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


def test_pairs_that_are_not_measured_have_the_same_maps(inputs, tmp_path):
    fields, reports = [], []
    for measures in (True, False):
        options = Options(recipe=QUICK, backend="numpy", threads=1, warps="forward", measures=measures)
        run(pairs_in(inputs)[:1], tmp_path / str(measures), options)
        fields.append(np.asarray(nibabel.load(next((tmp_path / str(measures)).rglob("*warp_xfm.nii.gz"))).dataobj))
        reports.append(json.loads(next((tmp_path / str(measures)).rglob("*_qc.json")).read_text()))
    np.testing.assert_array_equal(*fields)
    measured, other = reports
    assert measured["metrics"]["ncc_after"] is not None and other["metrics"].get("ncc_after") is None
    assert 0 < len(other["judgement"]["signs"]) < len(measured["judgement"]["signs"])  # those of the affine
    assert other["similarity"] is None and "thumbnail" not in other["outputs"]


def test_the_backend_of_the_environment_counts_for_every_run(inputs, tmp_path, monkeypatch):
    """Also where an earlier run of this process had another one."""
    used = []
    for name in ("numpy", "numba"):
        monkeypatch.setenv("WARPLINE_BACKEND", name)
        run(pairs_in(inputs)[:1], tmp_path / name, asked(backend="auto"))
        used.append(json.loads(next((tmp_path / name).rglob("*_qc.json")).read_text())["backend"]["name"])
    assert used == ["numpy", "numba"]
