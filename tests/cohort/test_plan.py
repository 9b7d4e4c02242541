"""What runs again and what does not."""

from __future__ import annotations

import gc
import gzip
import json
import os
import pathlib
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import faults
from cohort_files import COUNT, QUICK, asked, outputs, pairs_in, rows, table
from warpline import recipe as recipes
from warpline.cohort import plan as plans
from warpline.cohort import run
from warpline.cohort.manifest import Pair
from warpline.cohort.options import plan_pairs
from warpline.cohort.plan import make_plan, make_tasks, plan_of
from warpline.recipe import Recipe

pytestmark = pytest.mark.usefixtures("no_pages")

LINEAR = """
base = "rigid"
[initialise]
rotations = false
[linear]
iterations = [1]
voxel_sizes = [6.0]
samples = 1000
"""


def test_the_same_call_again_computes_nothing(inputs, undisturbed, done):
    summary = run(pairs_in(inputs), done, asked())
    assert summary.finished == 0 and summary.counts["done"] == COUNT
    shutil.rmtree(done / "work")  # journals of earlier runs spare reading, and decide nothing
    assert run(pairs_in(inputs), done, asked()).finished == 0
    assert outputs(done) == undisturbed and faults.calls(inputs) == []


def test_what_changed_runs_again_and_nothing_else(inputs, done, monkeypatch):
    pairs, out = pairs_in(inputs), done
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

    todo = lambda: {task.id for task in plan_pairs(pairs, out, asked(recipe=other)).todo}  # noqa: E731
    assert todo() == {"sub-01", "sub-02", "sub-03", "sub-05", "sub-06"}
    monkeypatch.setattr(plans, "NUMERICS", recipes.NUMERICS + 1)
    assert len(todo()) == COUNT


def test_outputs_that_were_cut_or_deleted_run_again(inputs, undisturbed, done, caplog):
    out = done
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


def test_a_worse_input_fails_until_it_is_as_before(inputs, brains, done):
    pairs, out = pairs_in(inputs), done
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


def test_a_plan_takes_little_memory(tmp_path):
    count = 2000

    def planned(names):
        paths = {"fixed": f"{tmp_path}/f.nii.gz"}
        pairs = [Pair(name, f"{tmp_path}/{name}.nii.gz", **paths, columns={"age": name}) for name in names]
        return make_plan(make_tasks(pairs, recipe=Recipe(), warps="rounded"), tmp_path)

    planned(["sub-first"])  # what is imported and cached once
    gc.collect()
    tracemalloc.start()
    plan = planned([f"sub-{number:05d}" for number in range(count)])
    held = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pathlib.__file__)])  # it interns names
    tracemalloc.stop()
    size = sum(one.size for one in held.statistics("filename")) / count
    assert plan.count("new") == count and size < 2000, size


def test_sections_that_ask_for_nothing_are_no_part_of_a_key():
    recipe = Recipe.load("syn")
    settings = ("budget.max_strain=1", "prepare.bias_correction=n4", "uncertainty.runs=4")
    changed = (recipe.with_options(setting) for setting in settings)
    assert len({plans.options_key(one, "rounded") for one in (recipe, *changed)}) == 4
    before = recipe.model_dump_json(exclude={"name", "budget", "prepare", "uncertainty"})  # as it was without any
    assert plans.options_key(recipe, "rounded") == plans._digest(f"{recipes.NUMERICS}|rounded|{before}")
