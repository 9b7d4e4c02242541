"""The methods of a cohort, from the sidecars of its pairs."""

from __future__ import annotations

import json

import pytest

from cohort_files import COUNT
from warpline.cohort import methods
from warpline.cohort.methods import cohort_methods, write_methods
from warpline.cohort.plan import plan_of
from warpline.cohort.results import PairResult, judge_results
from warpline.errors import InputError


def results_in(root):
    return judge_results(plan_of(root).results(root))


def change_recipe(root, id, **options):
    sidecar = next(root.glob(f"{id}/anat/*qc.json"))
    report = json.loads(sidecar.read_text())
    report["recipe"]["syn"] |= options
    sidecar.write_text(json.dumps(report))


def test_a_run_leaves_its_methods(finished_run):
    text = (finished_run / "CITATION.md").read_text()
    assert text.startswith(f"# Methods\n\n{COUNT} images were registered to `fixed.nii` with warpline")
    assert f"Of {COUNT} pairs, {COUNT} were registered and 0 failed." in text
    assert (
        "limits of their quality; with fewer than 10 pairs they were not compared with each other: " in text
        and "robust z-scores" not in text
    )
    assert "(Avants et al., 2008)" in text


def test_options_of_one_recipe_that_differ_are_told_apart(done):
    change_recipe(done, "sub-03", radius=4)
    text = cohort_methods(done, results_in(done))
    assert "windows of 9 voxels" in text and "windows of 5 voxels" in text
    assert f"{COUNT - 1} images were registered" in text and "The image `sub-03_T1w.nii` was registered" in text


def test_few_of_many_sidecars_are_read(done, monkeypatch):
    monkeypatch.setattr(methods, "LOOKED_AT", 2)
    read = []
    plain = methods.read_object
    monkeypatch.setattr(methods, "read_object", lambda path: read.append(path) or plain(path))
    assert f"{COUNT} images were registered" in cohort_methods(done, results_in(done))
    assert len(read) == 2


def test_nothing_finished_is_an_error_and_writes_nothing(tmp_path):
    todo = [PairResult("a", "todo")]
    with pytest.raises(InputError, match="no finished pair to describe"):
        cohort_methods(tmp_path, todo)
    write_methods(tmp_path, todo)
    assert not (tmp_path / "CITATION.md").exists()


def test_sidecars_of_another_version_do_not_end_a_run(done, caplog):
    change_recipe(done, "sub-03", radius="wide")
    results = results_in(done)
    (done / "CITATION.md").unlink()
    write_methods(done, results)
    assert "no CITATION.md is written: the report cannot be put into words" in caplog.text
    assert not (done / "CITATION.md").exists()
