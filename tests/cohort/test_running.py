"""Whole runs in one process: resume, what re-runs, bad inputs, bad folders. Judged by bytes."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

import faults
from cohort_files import COUNT, QUICK, asked, outputs, pairs_in
from warpline import recipe as recipes
from warpline.cohort import Options, run, running, tasks
from warpline.cohort.lock import FolderLock
from warpline.cohort.running import plan_of
from warpline.cohort.settings import Settings
from warpline.errors import InputError, OutputError, UsageError
from warpline.io.images import read_image

pytestmark = pytest.mark.usefixtures("no_pages")
TESTS = Path(__file__).parents[1]
LINEAR = """
base = "rigid"
[initialise]
rotations = false
[linear]
iterations = [1]
voxel_sizes = [6.0]
samples = 1000
"""


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def rows(out):
    return {row["id"]: row for row in table(out / "results.tsv")}


def test_a_run_leaves_bids_names_tables_and_no_other_file(inputs, undisturbed, tmp_path):
    summary = run(pairs_in(inputs), tmp_path / "out", asked())
    assert summary.exit_code == 0 and summary.finished == COUNT
    assert outputs(tmp_path / "out") == undisturbed
    first = "sub-01/anat/sub-01_"
    assert {name.removeprefix(first) for name in undisturbed if name.startswith(first)} == {
        "from-T1w_to-fixed_mode-image_desc-affine_xfm.mat",
        "from-T1w_to-fixed_mode-image_desc-warp_xfm.nii.gz",
        "from-fixed_to-T1w_mode-image_desc-warp_xfm.nii.gz",
        "space-fixed_desc-registered_T1w.nii.gz",
        "space-fixed_desc-registered_T1w.json",
        "space-fixed_desc-registration_qc.json",
    }
    assert "sub-01/figures/sub-01_space-fixed_desc-registered_T1w.webp" in undisturbed
    made = {path.name for path in (tmp_path / "out").iterdir()} - {f"sub-{n:02d}" for n in range(1, COUNT + 1)}
    tables = {"results.tsv", "failures.tsv", "progress.json", "run.json", "manifest.tsv"}
    assert made == tables | {"dataset_description.json", ".bidsignore", "work"}
    description = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert [row["status"] for row in rows(tmp_path / "out").values()] == ["ok"] * COUNT
    assert json.loads((tmp_path / "out" / "progress.json").read_text())["ok"] == COUNT


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
    assert reports["rounded"]["rounding_mm"] == {"content": 1 / 64, "elsewhere": 1 / 2, "margin_voxels": 3}
    assert "rounding_mm" not in reports["full"]
    assert reports["rounded"]["quality"]["folded_voxels"] == 0
    assert reports["rounded"]["quality"] == reports["forward"]["quality"] != reports["full"]["quality"]


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


# -- resume -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gpus", "cores", "writers"), [([], 16, 2), (["0"], 1, 2), (["0"], 4, 3), (["0"], 16, 6)])
def test_more_threads_write_where_a_gpu_computes(monkeypatch, gpus, cores, writers):
    monkeypatch.setenv("WARPLINE_THREADS", str(cores))
    monkeypatch.setattr(running, "visible_gpus", lambda _: gpus)
    monkeypatch.setattr(running, "Inline", lambda settings, _: settings)
    settings = running._executor(SimpleNamespace(take=None), Settings("out", "run"), Options())
    assert (settings.readers, settings.writers) == (2, writers)


def test_the_same_call_again_computes_nothing(inputs, undisturbed, tmp_path):
    for _ in range(2):
        summary = run(pairs_in(inputs), tmp_path / "out", asked())
    assert summary.finished == 0 and summary.counts["done"] == COUNT
    assert len(faults.calls(inputs)) == COUNT
    shutil.rmtree(tmp_path / "out" / "work")  # the memory of earlier runs spares reading, and decides nothing
    assert run(pairs_in(inputs), tmp_path / "out", asked()).finished == 0
    assert outputs(tmp_path / "out") == undisturbed


def test_what_changed_runs_again_and_nothing_else(inputs, undisturbed, tmp_path, monkeypatch):
    pairs, out = pairs_in(inputs), tmp_path / "out"
    run(pairs, out, asked())
    (inputs / faults.CALLS).unlink()

    shutil.copyfile(inputs / "sub-01_T1w.nii", inputs / "sub-02_T1w.nii")
    os.utime(inputs / "sub-03_T1w.nii")  # other date, same content
    (out / "sub-05/anat/sub-05_space-fixed_desc-registration_qc.json").write_text('{"id": "sub-05"')  # power cut
    run(pairs, out, asked())
    assert sorted(faults.calls(inputs)) == ["sub-02", "sub-05"]

    other = QUICK.with_options("syn.radius=3")
    (inputs / "other.toml").write_text(LINEAR)
    pairs[3] = replace(pairs[3], recipe=str(inputs / "other.toml"))
    run(pairs, out, asked(redo=True))
    assert faults.calls(inputs)[2:] == ["sub-04"]
    assert not list(out.glob("sub-04/anat/*warp*"))  # the recipe has no warp any more
    assert rows(out)["sub-04"]["recipe"] == "other"

    run(pairs, out, asked(recipe=other))
    assert sorted(faults.calls(inputs)[3:]) == ["sub-01", "sub-02", "sub-03", "sub-05", "sub-06"]
    monkeypatch.setattr(tasks, "NUMERICS", recipes.NUMERICS + 1)
    assert run(pairs, out, asked(recipe=other)).finished == COUNT


def test_outputs_that_were_cut_or_deleted_run_again_and_nothing_else(inputs, undisturbed, tmp_path, caplog):
    out = tmp_path / "out"
    run(pairs_in(inputs), out, asked())
    names = {id: next((out / id / "anat").glob("*affine_xfm.mat")) for id in ("sub-02", "sub-03", "sub-04")}
    os.truncate(names["sub-02"], 10)
    names["sub-03"].unlink()
    flipped = bytearray(names["sub-04"].read_bytes())
    flipped[-1] ^= 1
    names["sub-04"].write_bytes(flipped)
    plan = plan_of(out)
    assert set(plan.damaged) == {"sub-02", "sub-03"} and plan.count("done") == COUNT - 2
    assert "2 pairs are done no longer" in caplog.text and "holds 10 of" in caplog.text
    assert set(plan_of(out, checksums=True).damaged) == {"sub-02", "sub-03", "sub-04"}
    assert run(pairs_in(inputs), out, asked()).finished == 2
    assert run(pairs_in(inputs), out, asked(checksums=True)).finished == 1
    assert outputs(out) == undisturbed


def test_decisions_of_people_leave_out_and_run_again(inputs, tmp_path):
    pairs, out = pairs_in(inputs)[:4], tmp_path / "out"
    (tmp_path / "seen.tsv").write_text("id\tdecision\tnote\nsub-01\tfail\tmoved\nsub-02\treview\t\nsub-03\tpass\t\n")
    summary = run(pairs, out, asked(exclude_from=tmp_path / "seen.tsv"))
    assert (summary.counts["done"], summary.counts["excluded"]) == (3, 1)
    assert rows(out)["sub-01"]["status"] == "excluded"
    assert plan_of(out).states["sub-01"] == "excluded"  # so that status and report know it, too
    assert run(pairs, out, asked(retry_from=tmp_path / "seen.tsv")).finished == 2
    assert faults.calls(inputs) == ["sub-02", "sub-03", "sub-04", "sub-01", "sub-02"]
    (tmp_path / "seen.tsv").write_text("id\tdecision\nsub-01\tmaybe\n")
    with pytest.raises(InputError, match=r"seen\.tsv has the decision 'maybe'; pass, review, fail"):
        run(pairs, out, asked(exclude_from=tmp_path / "seen.tsv"))


def test_shards_share_the_work_and_the_last_writes_all_rows(inputs, undisturbed, tmp_path):
    pairs, out = pairs_in(inputs), tmp_path / "out"
    for index in (1, 2, 3):
        assert run(pairs, out, asked(shard=(index, 3))).finished == 2
    assert outputs(out) == undisturbed
    assert [row["status"] for row in rows(out).values()] == ["ok"] * COUNT


def test_tables_of_a_shard_know_what_others_did_meanwhile(inputs, undisturbed, tmp_path):
    pairs, out, begun = pairs_in(inputs), tmp_path / "out", []

    def other_first(*arguments, **more):
        if not begun:
            begun.append(run(pairs, out, asked(shard=(2, 2))))
        return faults.compute(*arguments, **more)

    summary = run(pairs, out, asked(shard=(1, 2), compute=other_first))
    assert begun[0].finished == summary.finished == COUNT // 2
    assert begun[0].counts["done"] == COUNT // 2 and summary.counts["done"] == COUNT
    assert [row["status"] for row in rows(out).values()] == ["ok"] * COUNT
    assert {path.name for path in (out / "work").glob("progress-*")} == {"progress-1of2.json", "progress-2of2.json"}


def test_a_page_that_fails_does_not_cost_the_run(inputs, tmp_path, monkeypatch, caplog):
    def fails(root, **_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(sys.modules["warpline.cohort.pages"], "write", fails)
    summary = run(pairs_in(inputs)[:1], tmp_path / "out", asked())
    assert summary.exit_code == 0 and summary.page is None
    assert "could not be written: ZeroDivisionError: oh; try again: warpline cohort report" in caplog.text


# -- failures -----------------------------------------------------------------------------------------------------


def damage(inputs):
    """A truncated gzip, a NaN, a missing file."""
    whole = gzip.compress((inputs / "sub-02_T1w.nii").read_bytes())
    (inputs / "sub-02_T1w.nii").write_bytes(whole[: len(whole) // 2])
    raw = bytearray((inputs / "sub-03_T1w.nii").read_bytes())
    raw[-15160:-15156] = np.float32(np.nan).tobytes()  # in the middle: in the background it would not count
    (inputs / "sub-03_T1w.nii").write_bytes(raw)
    (inputs / "sub-04_T1w.nii").unlink()


def test_bad_inputs_fail_alone_and_run_once_they_are_mended(inputs, brains, undisturbed, tmp_path):
    pairs, out = pairs_in(inputs), tmp_path / "out"
    damage(inputs)
    summary = run(pairs, out, asked())
    assert summary.exit_code == 3 and summary.counts["failed"] == 3
    failures = {row["id"]: row for row in table(out / "failures.tsv")}
    assert {row["class"] for row in failures.values()} == {"input_error"}
    assert "truncated" in failures["sub-02"]["message"]
    assert "1 NaN" in failures["sub-03"]["message"]
    assert "does not exist" in failures["sub-04"]["message"]
    assert "sub-02" not in failures["sub-02"]["signature"]
    log = json.loads((out / failures["sub-03"]["log"]).read_text())
    assert log["class"] == "input_error" and log["attempts"] == 1
    good = {
        name: content for name, content in undisturbed.items() if not name.startswith(("sub-02", "sub-03", "sub-04"))
    }
    assert outputs(out) == good
    assert run(pairs, out, asked()).finished == 0  # never retried blindly
    assert run(pairs, out, asked(retry_failed=True)).finished == 3
    assert run(pairs, out, asked(allow_failures=3)).exit_code == 0
    for path in brains.glob("sub-0[234]_T1w.nii"):
        shutil.copy2(path, inputs)
    summary = run(pairs, out, asked())
    assert summary.exit_code == 0 and summary.finished == 3
    assert outputs(out) == undisturbed
    assert not list((out / "logs").iterdir())


def test_an_input_that_changes_for_the_worse_fails_and_stays_failed_until_it_is_as_before(inputs, brains, tmp_path):
    pairs, out = pairs_in(inputs), tmp_path / "out"
    run(pairs, out, asked())
    assert json.loads((out / "progress.json").read_text())["ended"]
    (inputs / "sub-02_T1w.nii").write_bytes(b"broken")
    assert run(pairs, out, asked()).counts["failed"] == 1
    again = run(pairs, out, asked())
    assert (again.finished, again.counts["failed"], again.exit_code) == (0, 1, 3)  # never retried blindly
    assert plan_of(out).states["sub-02"] == "failed"  # though the sidecar of the earlier input is still there
    shutil.copy2(brains / "sub-02_T1w.nii", inputs)
    mended = run(pairs, out, asked())
    assert (mended.finished, mended.counts["done"]) == (0, COUNT)
    assert plan_of(out).states["sub-02"] == "done"
    assert json.loads((out / "progress.json").read_text())["ended"]  # also of a run with nothing to do


def test_short_memory_is_tried_once_more_and_then_told(inputs, undisturbed, tmp_path):
    faults.plan(inputs, sub_01="memory_once", sub_02="memory", sub_03="puzzling")
    summary = run(pairs_in(inputs), tmp_path / "out", asked())
    assert sorted(faults.calls(inputs)).count("sub-02") == 2
    groups = {group.kind: group for group in summary.groups}
    assert set(groups) == {"out_of_memory", "unexpected"}
    assert groups["out_of_memory"].signature == "out of memory allocating *,*,*,* bytes"
    assert "puzzling" in json.loads((tmp_path / "out/logs/sub-03.json").read_text())["traceback"]
    done = outputs(tmp_path / "out")
    assert done == {name: undisturbed[name] for name in done} and len(done) == 7 * (COUNT - 2)


def test_a_slow_pair_ends_at_its_time_limit(inputs, tmp_path):
    slow = QUICK.with_options("syn.iterations=[100000]", "syn.early_stop=off")
    summary = run(pairs_in(inputs)[:1], tmp_path / "out", asked(recipe=slow, time_limit=0.3))
    (group,) = summary.groups
    assert group.kind == "timeout" and "longer than 0.3 s" in group.message


def test_a_run_that_fails_everywhere_is_stopped(inputs, tmp_path):
    faults.plan(inputs, **{f"sub_{number:02d}": "puzzling" for number in range(1, 31)})
    for number in range(COUNT + 1, 31):
        shutil.copy2(inputs / "sub-01_T1w.nii", inputs / f"sub-{number:02d}_T1w.nii")
    summary = run(pairs_in(inputs), tmp_path / "out", asked(max_failures=0.3))
    assert summary.exit_code == 4
    assert "20 of the first 20 pairs failed, more than 30%" in summary.halt.reason
    assert 20 <= summary.finished < 30 and summary.counts["new"] == 30 - summary.finished


def test_a_broken_device_stops_a_run_in_this_process(inputs, undisturbed, tmp_path):
    faults.plan(inputs, sub_03="broken_once")
    summary = run(pairs_in(inputs), tmp_path / "out", asked())
    assert summary.exit_code == 6 and summary.counts["failed"] == 0
    assert run(pairs_in(inputs), tmp_path / "out", asked()).exit_code == 0
    assert outputs(tmp_path / "out") == undisturbed


# -- folders ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own; `resize(options)` mounts it anew."""
    folder = tmp_path / "out"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=224k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: root is needed")
    yield folder, lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_stops_the_run_and_leaves_whole_pairs(inputs, undisturbed, small_disk):
    out, resize = small_disk
    summary = run(pairs_in(inputs), out, asked())
    assert summary.exit_code == 5 and "No space left" in summary.halt.reason
    done = outputs(out)
    assert 0 < summary.counts["done"] < COUNT and summary.counts["failed"] == 0
    assert done == {name: undisturbed[name] for name in done} and len(done) == 7 * summary.counts["done"]
    resize("size=64m")
    assert run(pairs_in(inputs), out, asked()).exit_code == 0
    assert outputs(out) == undisturbed


def test_a_read_only_folder_is_refused_before_computing(inputs, small_disk):
    out, resize = small_disk
    resize("ro")
    with pytest.raises(OutputError, match=r"cannot be written: Read-only file system; choose a folder"):
        run(pairs_in(inputs), out, asked())
    assert faults.calls(inputs) == []


def test_a_folder_that_cannot_be_made_is_refused(inputs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        run(pairs_in(inputs), tmp_path / "file" / "out", asked())


def test_a_second_driver_is_refused(inputs, tmp_path):
    (tmp_path / "out" / "work").mkdir(parents=True)
    with FolderLock(tmp_path / "out"), pytest.raises(UsageError, match=rf"in use by another run \(.*{os.getpid()}"):
        run(pairs_in(inputs), tmp_path / "out", asked())
    with FolderLock(tmp_path / "out", (1, 2)):
        with pytest.raises(UsageError, match="in use"):
            run(pairs_in(inputs), tmp_path / "out", asked())
        with pytest.raises(UsageError, match="in use"):
            run(pairs_in(inputs), tmp_path / "out", asked(shard=(1, 2)))
        assert run(pairs_in(inputs)[:1], tmp_path / "out", asked(shard=(2, 2))).exit_code == 0


def test_a_column_that_the_results_have_themselves_is_refused(inputs, tmp_path):
    pair = replace(pairs_in(inputs)[0], columns={"site": "A", "dice": "0.9"})
    with pytest.raises(InputError, match="column 'dice' of the manifest is one of the results; rename it: 'given_"):
        run([pair], tmp_path / "out", asked())


def test_outputs_never_replace_inputs(inputs, tmp_path):
    pair = pairs_in(inputs)[0]
    run([pair], tmp_path / "out", asked())
    warped = tmp_path / "out/sub-01/anat/sub-01_space-fixed_desc-registered_T1w.nii.gz"
    before = warped.read_bytes()
    again = replace(pair, moving=str(warped))
    summary = run([again], tmp_path / "out", asked())
    assert summary.groups[0].kind == "input_error" and "would overwrite the input" in summary.groups[0].message
    assert warped.read_bytes() == before


def test_headers_are_judged_once_for_all_pairs_and_by_the_matrix_asked_for(inputs, tmp_path):
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
