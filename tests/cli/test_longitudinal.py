"""``warpline longitudinal``."""

from __future__ import annotations

import json

import pytest

from made_time_points import time_point
from warpline.cli.main import main
from warpline.io.images import write_image

QUICK = ("--backend", "numba", "--threads", "1", "--set", "syn.iterations=[5]", "--set", "syn.factors=[2]")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    for seed, name in enumerate(("a", "b")):
        write_image(time_point(0.03 * seed, seed=seed), folder / f"{name}.nii.gz")
    return [str(folder / "a.nii.gz"), str(folder / "b.nii.gz")]


def test_result_is_the_report(paths, tmp_path, call):
    record = call("longitudinal", *paths, "-o", f"{tmp_path}/out", "--years", "70", "71.5", *QUICK)
    assert record == json.loads((tmp_path / "out" / "report.json").read_text())
    assert record["changes"][0]["years"] == 1.5


def test_summary_names_change_and_files(paths, tmp_path, capsys):
    assert main(["longitudinal", *paths, "-o", f"{tmp_path}/out", "--dates", "2020-01-01", "2021-01-01", *QUICK]) == 0
    captured = capsys.readouterr()
    assert "a to b: what is shown grew by" in captured.out and "% a year" in captured.out
    assert "a_to_b_LogJacobian.nii.gz" in captured.out
    assert "change: 1 of 1 pairs" in captured.err


def test_wrong_usage_is_one_line(paths, tmp_path, refused):
    assert "two or more" in refused(2, "longitudinal", paths[0], "-o", f"{tmp_path}/out")
    assert not (tmp_path / "out").exists()
