"""``warpline cohort`` from the command line: a whole round, wrong usage, and what is said."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.request

import pytest

from cohort_files import leave_pages_out, write_brains
from warpline.cli.cohort import ACTIONS
from warpline.cli.cohort.check import size
from warpline.cli.cohort.progress import duration, line
from warpline.cli.main import build_parser, main
from warpline.cohort.page_server import PageServer

RECIPE = """
base = "rigid"
[initialise]
rotations = false
[linear]
voxel_sizes = [6.0]
iterations = [2]
samples = 1000
"""


@pytest.fixture(scope="module")
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
        assert main(asked(folder, "run", "-q")) == 0
    return folder


def asked(folder, action, *more, out="out"):
    return ["cohort", action, f"{folder}/c.tsv", f"{folder}/{out}", "--recipe", f"{folder}/quick.toml", *more]


@pytest.fixture(autouse=True)
def pages(monkeypatch):
    monkeypatch.setenv("WARPLINE_BACKEND", "numpy")
    leave_pages_out(monkeypatch)


@pytest.mark.parametrize("action", tuple(ACTIONS))
def test_every_action_has_help_with_an_example(action, capsys):
    assert main(["cohort", action, "--help"]) == 0
    assert f"warpline cohort {action}" in capsys.readouterr().out.split("example:\n")[1]


def test_the_manifest_holds_relative_paths(folder):
    header, first, _ = (folder / "c.tsv").read_text().splitlines()
    assert header == "id\tmoving\tfixed\tmoving_labels\tfixed_labels"
    cells = ["sub-01", "in/sub-01_T1w.nii", "in/fixed.nii", "in/sub-01_dseg.nii", "in/fixed_dseg.nii"]
    assert first.split("\t") == cells


def test_init_writes_to_stdout_too(folder, capsys):
    assert main(["cohort", "init", f"{folder}/in/{{id}}_T1w.nii", "--all-pairs"]) == 0
    assert [text.split("\t")[0] for text in capsys.readouterr().out.splitlines()] == [
        "id",
        "sub-01-to-sub-02",
        "sub-02-to-sub-01",
    ]


def test_a_run_is_resumed_and_told(folder, capsys):
    assert main(asked(folder, "run")) == 0
    told = capsys.readouterr().out
    assert "2 done; this run ended 0" in told and "warpline cohort serve" in told
    assert main(asked(folder, "run", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["counts"]["done"] == 2 and record["exit_code"] == 0 and record["failures"] == []


def test_flags_stand_before_the_action_too(folder, capsys):
    assert main(["cohort", "--json", *asked(folder, "run")[1:]]) == 0
    assert json.loads(capsys.readouterr().out)["finished"] == 0


def test_check_says_what_a_run_would_do(folder, capsys):
    assert main(asked(folder, "check", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["pairs"], record["done"], record["todo"], record["missing"]) == (2, 2, 0, [])
    assert record["refused"] is None
    assert main(["cohort", "check", f"{folder}/c.tsv", f"{folder}/out"]) == 0
    assert "a run would be refused: 2 finished pairs (sub-01, sub-02)" in capsys.readouterr().out
    assert main(asked(folder, "check", "--set", "linear.bins=16")) == 0
    told = capsys.readouterr().out
    assert "2 done with other inputs, recipe or numerics" in told and "to run: 2" in told and "disk: about" in told


def test_check_names_what_is_missing(folder, tmp_path, capsys):
    (tmp_path / "c.tsv").write_text("id\tmoving\tfixed\tage\na\tno.nii\tf.nii\t3\n")
    assert main(["cohort", "check", f"{tmp_path}/c.tsv", f"{tmp_path}/out"]) == 5
    told = capsys.readouterr().out
    assert f"missing: {tmp_path}/no.nii (a)" in told and "copied to the results: age" in told
    assert not (tmp_path / "out").exists()


def test_failures_are_grouped_and_end_with_3(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "copy")
    for number in (1, 2):
        (tmp_path / f"copy/in/sub-0{number}_T1w.nii").write_bytes(b"nothing")
    assert main(asked(tmp_path / "copy", "run", out="new")) == 3
    told = capsys.readouterr().out
    assert "2 failed" in told and "input_error" in told and "--retry-failed" in told
    assert main(asked(tmp_path / "copy", "run", "--allow-failures", "100%", out="new")) == 0


def test_status_shows_progress(folder, capsys):
    assert main(["cohort", "status", f"{folder}/out"]) == 0
    assert "2 of 2 done, 0 failed, 0 to do" in capsys.readouterr().out
    assert main(["cohort", "status", f"{folder}/out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] == 2
    assert main(["cohort", "status", f"{folder}/in"]) == 5


def test_a_bids_app_call_runs_subjects_then_reports(folder, tmp_path, capsys):
    for name in ("sub-01", "sub-02"):
        (tmp_path / "bids" / name / "anat").mkdir(parents=True)
        shutil.copy(folder / "in" / f"{name}_T1w.nii", tmp_path / "bids" / name / "anat")
    common = [f"{tmp_path}/bids", f"{tmp_path}/out", "participant", "--participant-label", "02"]
    how = ["--fixed", f"{folder}/in/fixed.nii", "--recipe", f"{folder}/quick.toml", "-q"]
    assert main(["cohort", "run", *common, *how]) == 0
    assert (tmp_path / "out" / "sub-02" / "anat").is_dir() and not (tmp_path / "out" / "sub-01").exists()
    assert main(["cohort", "run", f"{tmp_path}/bids", f"{tmp_path}/out", "group"]) == 0
    assert "wrote" in capsys.readouterr().out
    (tmp_path / "out" / "results.tsv").unlink()
    assert main(["cohort", "report", f"{tmp_path}/out"]) == 0
    assert "\tok\t" in (tmp_path / "out" / "results.tsv").read_text()


def test_runs_on_one_participant_each_add_up(folder, tmp_path):
    for name in ("sub-01", "sub-02"):
        (tmp_path / "bids" / name / "anat").mkdir(parents=True)
        shutil.copy(folder / "in" / f"{name}_T1w.nii", tmp_path / "bids" / name / "anat")
    how = ["--fixed", f"{folder}/in/fixed.nii", "--recipe", f"{folder}/quick.toml", "-q"]
    for label in ("01", "02", "01"):
        call = [f"{tmp_path}/bids", f"{tmp_path}/out", "participant", "--participant-label", label]
        assert main(["cohort", "run", *call, *how]) == 0
    assert main(["cohort", "run", f"{tmp_path}/bids", f"{tmp_path}/out", "group"]) == 0
    for table in ("manifest.tsv", "results.tsv"):
        rows = (tmp_path / "out" / table).read_text().splitlines()[1:]
        assert sorted(row.split("\t")[0] for row in rows) == ["sub-01", "sub-02"], table


def test_pages_are_served_on_this_machine_only(tmp_path):
    assert main(["cohort", "serve", str(tmp_path)]) == 5
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<p>here</p>")
    with PageServer(tmp_path, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        with urllib.request.urlopen(server.address("report/index.html")) as answer:
            assert answer.read() == b"<p>here</p>"
        assert host == "127.0.0.1"
        assert main(["cohort", "serve", str(tmp_path), "--port", str(port)]) == 2
        server.shutdown()


def test_slurm_prints_a_script(capsys):
    assert main(["cohort", "slurm", "--array", "4", "c.tsv", "out", "--recipe", "rigid"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("#!/bin/bash") and 'out --recipe rigid --shard "$SLURM_ARRAY_TASK_ID/4" &' in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cohort"], "ACTION"),
        (["cohort", "run", "c.tsv"], "OUT"),
        (["cohort", "run", "c.tsv", "out", "--shard", "5/4"], "from 1/N to N/N"),
        (["cohort", "run", "c.tsv", "out", "--max-failures", "3"], "a percentage such as 30% is needed"),
        (["cohort", "run", ".", "out"], "a BIDS folder needs a fixed image"),
        (["cohort", "run", ".", ".", "--recipe", "sin"], "recipe 'sin' is unknown"),
        (["cohort", "init", "x.nii", "--fixed", "f.nii"], "has no {id}"),
        (["cohort", "slurm", "--array", "4", "c.tsv", "out", "--recpe", "x"], "unrecognized arguments: --recpe x"),
        (["cohort", "slurm", "c.tsv", "out", "--shard", "1/2"], "--shard is set by the script"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert message in told


def test_a_bids_app_takes_several_labels():
    options = build_parser(()).parse_args(["cohort", "run", "b", "o", "participant", "--participant-label", "01", "02"])
    assert options.participant_label == ["01", "02"] and options.level == "participant"


def test_numbers_are_said_as_people_say_them():
    assert [size(value) for value in (12, 3e6, 8.7e12)] == ["12 B", "3 MB", "8.7 TB"]
    assert [duration(value) for value in (5, 65, 7260)] == ["5 s", "1 min 5 s", "2 h 1 min"]
    numbers = {"ok": 3, "total": 9, "failed": 1, "todo": 5, "pairs_per_s": 0.5, "busy": 0.93, "eta_s": 10}
    assert line(numbers).endswith("0.5 pairs per second, computing 93% of the time, about 10 s left")
