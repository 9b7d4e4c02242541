"""A template from the command line."""

from __future__ import annotations

import json
import shlex

from template_files import strangers, subjects
from warpline.cli.main import main


def test_who_is_left_out_is_named_and_shows_in_the_exit_code(slices, tmp_path, capsys):
    files = [one.moving for one in (*subjects(slices, 3), strangers(slices)[1])]
    quick = ["--recipe", "rigid", "--rounds", "1", "--threads", "1"]
    assert main(["template", "build", *files, f"{tmp_path}/out", *quick]) == 3
    told = capsys.readouterr()
    assert "left out   noise: does not fit" in told.out and "round 1: linear" in told.err
    proposed = shlex.split(told.out.splitlines()[-1])
    assert proposed[:3] == ["warpline", "cohort", "run"] and main(["cohort", "check", *proposed[3:]]) == 0
    capsys.readouterr()
    assert main(["template", "build", *files, f"{tmp_path}/out", *quick, "--json"]) == 3
    record = json.loads(capsys.readouterr().out)
    assert record["template"] == f"{tmp_path}/out/template.nii.gz" and record["left_out"][0]["id"] == "noise"


def test_missing_files_are_named_before_anything_is_made(slices, tmp_path, capsys):
    assert main(["template", "build", subjects(slices)[0].moving, f"{slices}/x.nii", f"{tmp_path}/out"]) == 5
    assert f"{slices}/x.nii cannot be read" in capsys.readouterr().err
