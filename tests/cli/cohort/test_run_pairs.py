"""``warpline cohort run``: resume, failures, BIDS Apps."""

from __future__ import annotations

import json
import shutil

from cohort_files import command
from warpline.cli.main import build_parser, main


def test_a_run_is_resumed_and_told(folder, capsys):
    assert main(command(folder, "run")) == 0
    told = capsys.readouterr().out
    assert "2 done; this run ended 0" in told and "warpline cohort serve" in told
    assert "2 pairs: not compared with each other (that takes 10); verdicts are by fixed limits alone" in told
    assert main(command(folder, "run", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["counts"]["done"] == 2 and record["exit_code"] == 0 and record["failures"] == []
    assert record["not_compared"].startswith("2 pairs: ")


def test_swapped_arguments_are_told_apart_from_a_bids_folder(folder, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    for action in ("run", "check"):
        assert main(["cohort", action, f"{tmp_path}/out", f"{folder}/c.tsv"]) == 2
        right = f"then the output folder, as in: {folder}/c.tsv {tmp_path}/out"
        assert right in capsys.readouterr().err


def test_a_stopped_run_is_to_be_resumed_not_looked_at(folder, capsys, monkeypatch):
    from warpline import cohort

    counts = {"done": 1, "failed": 0, "new": 1, "stale": 0, "excluded": 0}
    numbers = {"elapsed_s": 1.0, "pairs_per_s": 1.0, "busy": 1.0}
    stopped = cohort.Summary(counts, 1, 0, {}, [], numbers, cohort.StopReason("stopped by SIGINT", 75), 75, None)
    monkeypatch.setattr(cohort, "run", lambda *_, **__: stopped)
    assert main(command(folder, "run")) == 75
    after = capsys.readouterr().out.partition("next:\n")[2].splitlines()
    assert after == ["  run the same command again: 1 pair is left", f"  warpline cohort status {folder}/out"]


def test_flags_stand_before_the_action_too(folder, capsys):
    assert main(["cohort", "--json", *command(folder, "run")[1:]]) == 0
    assert json.loads(capsys.readouterr().out)["finished"] == 0


def test_failures_are_grouped_and_end_with_3(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "copy")
    for number in (1, 2):
        (tmp_path / f"copy/in/sub-0{number}_T1w.nii").write_bytes(b"nothing")
    assert main(command(tmp_path / "copy", "run", out="new")) == 3
    told = capsys.readouterr().out
    assert "2 failed" in told and "input_error" in told and "--retry-failed" in told
    assert main(command(tmp_path / "copy", "run", "--allow-failures", "100%", out="new")) == 0


def test_the_group_level_of_a_bids_app_reports(folder, tmp_path, capsys):
    for name in ("sub-01", "sub-02"):
        (tmp_path / "bids" / name / "anat").mkdir(parents=True)
        shutil.copy(folder / "in" / f"{name}_T1w.nii", tmp_path / "bids" / name / "anat")
    common = [f"{tmp_path}/bids", f"{tmp_path}/out", "participant", "--participant-label", "02"]
    how = ["--fixed", f"{folder}/in/fixed.nii", "--recipe", f"{folder}/quick.toml", "-q"]
    assert main(["cohort", "run", *common, *how]) == 0
    assert (tmp_path / "out" / "sub-02" / "anat").is_dir() and not (tmp_path / "out" / "sub-01").exists()
    assert main(["cohort", "run", f"{tmp_path}/bids", f"{tmp_path}/out", "group"]) == 0
    assert "wrote" in capsys.readouterr().out


def test_a_bids_app_takes_several_labels():
    arguments = ["cohort", "run", "b", "o", "participant", "--participant-label", "01", "02"]
    options = build_parser(arguments).parse_args(arguments)
    assert options.participant_label == ["01", "02"] and options.level == "participant"
