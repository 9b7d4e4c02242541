"""``--uncertainty`` on the command line: into the recipe, through the run, and refused in one line."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError

import numpy as np
import pytest

from warpline.cli.main import main
from warpline.cli.uncertainty import run_count
from warpline.io.images import read_image

QUICK = ("--recipe", "rigid", "--set", "linear.iterations=[10,5,2]", "--threads", "1")


@pytest.mark.parametrize("text", ["0", "1", "-4", "2.5", "many", "", "1001"])
def test_fewer_than_two_runs_are_refused(text):
    with pytest.raises(ArgumentTypeError, match="a whole number from 2 to 1000 is needed, such as 8"):
        run_count(text)


def test_nothing_is_read_where_no_stage_runs(refused, tmp_path):
    options = ("--uncertainty", "4", "--set", "linear=off", "--set", "syn=off")
    assert "none runs" in refused(2, "register", "absent.nii", "absent.nii", "-o", f"{tmp_path}/a_", *options)


def test_runs_are_counted_and_their_spread_is_said(pair, tmp_path, capsys):
    command = ("register", pair["fixed"], pair["moving"], "-o", f"{tmp_path}/a_", *QUICK, "--uncertainty", "2")
    assert main([*command]) == 0
    said = capsys.readouterr()
    (line,) = [one for one in said.out.splitlines() if one.startswith("uncertainty ")]
    assert line.endswith("by 2 perturbed runs")
    assert "rigid, run 2 of 2 level" in said.err
    written = read_image(tmp_path / "a_Uncertainty.nii.gz").data
    assert written.shape == (32, 37, 32) and 0 < np.median(written) < 6
    report = json.loads((tmp_path / "a_report.json").read_text())
    assert report["uncertainty"]["runs"] == report["recipe"]["uncertainty"]["runs"] == 2
    assert report["outputs"]["uncertainty"] == f"{tmp_path}/a_Uncertainty.nii.gz"
