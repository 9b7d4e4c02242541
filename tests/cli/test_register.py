"""None"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from warpline import registration
from warpline.cli.main import main
from warpline.errors import OutputError
from warpline.io.atomic import Transaction
from warpline.io.images import read_image
from warpline.registration.output_files import ENDINGS

LINEAR = ("--set", "linear.iterations=[10,5,2]", "--threads", "1")

ASKED = ("robust_weights", "uncertainty", "velocity")
"""Files that are only written where they are asked for."""

QUICK = ("--set", "syn.iterations=[10,5,2]", *LINEAR)


@pytest.fixture(scope="module")
def finished(pair, tmp_path_factory):
    """The program run once as a process of its own, and its output folder."""
    folder = tmp_path_factory.mktemp("out")
    program = [sys.executable, "-c", "import sys; from warpline.cli.main import main; sys.exit(main())"]
    command = [*program, "register", pair["fixed"], pair["moving"], "-o", str(folder), *QUICK]
    environment = {**os.environ, "TERM": "dumb"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False), folder


def test_process_succeeds_and_writes_every_file_into_the_folder(finished):
    process, folder = finished
    assert process.returncode == 0, process.stderr
    names = {path.name for path in folder.iterdir()}
    assert {ending for kind, ending in ENDINGS.items() if kind not in ASKED} <= names
    assert [name for name in names if name.startswith(".") or name.endswith(".part")] == []


def test_process_ends_with_facts_and_next_commands(finished):
    process, folder = finished
    for word in (
        "folds",
        "inverse error",
        "time",
        str(folder / registration.WARPED),
        "warpline apply",
        "warpline evaluate",
    ):
        assert word in process.stdout


def test_process_without_a_terminal_speaks_a_line_per_level(finished):
    process, folder = finished
    levels = json.loads((folder / registration.REPORT).read_text())["levels"]
    assert levels
    ended = [line for line in process.stderr.splitlines() if " level " in line and " iterations, " in line]
    assert len(ended) == len({(level["stage"], level["level"]) for level in levels if level["iterations"]})
    assert "\x1b" not in process.stdout + process.stderr


def test_json_is_the_report(pair, call, tmp_path):
    record = call("register", pair["fixed"], pair["moving"], "-o", f"{tmp_path}/a_", *QUICK)
    saved = json.loads((tmp_path / "a_report.json").read_text())
    assert record == saved
    assert record["recipe"]["syn"]["iterations"] == [10, 5, 2]
    assert record["quality"]["folded_voxels"] == 0


def test_masks_weights_and_initial_affine_reach_the_job(pair, phantom, tmp_path, monkeypatch):
    seen = []

    def record(job, progress=None, on_plan=None):
        seen.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr(registration, "run", record)
    masks = ("--fixed-mask", "f.nii", "--moving-mask", "m.nii", "--initial", "a.mat", "--robust")
    masks += ("--fixed-weights", "v.nii", "--moving-weights", "w.nii")
    arguments = ("register", "fixed.nii", "moving.nii", "-o", "out/a_", "--recipe", "syn-fast", *masks)
    assert main([*arguments, "--backend", "numpy", "--threads", "3", "--outside", "-1000"]) == 130
    (job,) = seen
    assert (job.fixed, job.moving, job.prefix) == ("fixed.nii", "moving.nii", "out/a_")
    assert (job.fixed_mask, job.moving_mask, job.initial) == ("f.nii", "m.nii", ["a.mat"])
    assert (job.fixed_weights, job.moving_weights, job.recipe.syn.robust) == ("v.nii", "w.nii", True)
    assert (job.recipe.name, job.backend, job.threads, job.outside) == ("syn-fast", "numpy", 3, -1000)


def test_linear_recipe_leaves_no_field(pair, call, tmp_path):
    record = call("register", pair["fixed"], pair["moving"], "-o", f"{tmp_path}/", "--recipe", "rigid", *LINEAR)
    assert record["quality"] is None
    assert not (tmp_path / registration.WARP).exists()
    assert read_image(tmp_path / registration.WARPED).grid == read_image(pair["fixed"]).grid


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "syn.stepp=1"],
        ["--set", "syn.step"],
        ["--set", "syn.step=-1"],
        ["--recipe", "rigid", "--set", "syn.step=0.2"],
        ["--recipe", "absent.toml"],
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(pair, refused, tmp_path, arguments):
    refused(2, "register", pair["fixed"], pair["moving"], "-o", f"{tmp_path}/out/", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_image_is_refused(pair, refused, tmp_path):
    (tmp_path / "text.nii.gz").write_text("not an image")
    line = refused(5, "register", pair["fixed"], str(tmp_path / "text.nii.gz"), "-o", f"{tmp_path}/out/")
    assert "text.nii.gz" in line
    assert [path.name for path in tmp_path.iterdir()] == ["text.nii.gz"]


def test_next_commands_work(finished, pair, tmp_path, monkeypatch, capsys):
    """What the summary proposes runs as it is written, once the label files have their names."""
    process, _ = finished
    monkeypatch.chdir(tmp_path)
    for name in ("fixed_labels", "moving_labels"):
        Path(f"{name}.nii.gz").symlink_to(pair[name])
    proposed = process.stdout.split("next:\n")[1].splitlines()
    assert len(proposed) == 2
    for line in proposed:
        program, *arguments = line.split()
        assert program == "warpline"
        assert main(arguments) == 0
    assert read_image("labels.nii.gz").grid == read_image(pair["fixed"]).grid
    assert "mean Dice" in capsys.readouterr().out


def test_a_second_run_on_one_prefix_is_refused(pair, tmp_path, monkeypatch, capsys):
    command = ["register", pair["fixed"], pair["moving"], "-o", f"{tmp_path}/a_", *QUICK]
    with Transaction() as files:
        files.reserve([tmp_path / f"a_{registration.REPORT}"])
        assert main(command) == OutputError.exit_code
        assert "is being written by another run" in capsys.readouterr().err
        files.write(tmp_path / f"a_{registration.REPORT}", b"of the first")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"of the first"]


def test_report_tells_size_and_checksum_of_every_other_file(finished):
    _, folder = finished
    report = json.loads((folder / registration.REPORT).read_text())
    contents = {kind: Path(path).read_bytes() for kind, path in report["outputs"].items()}
    stamps = {kind: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for kind, b in contents.items()}
    assert report["files"] == stamps and stamps.keys() == ENDINGS.keys() - {"report", *ASKED}
