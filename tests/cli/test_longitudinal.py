"""``warpline longitudinal``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from made_time_points import time_point, ventricle
from warpline.cli.main import main
from warpline.io.images import write_image
from warpline.io.transform_files import read_transform
from warpline.longitudinal import rigid_middle

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


def test_labels_have_their_growth_in_the_summary(paths, tmp_path, capsys):
    write_image(ventricle(), tmp_path / "labels.nii.gz")
    labelled = ("--labels", f"{tmp_path}/labels.nii.gz", "--labels-of", "2", "--masks", paths[0])
    assert main(["longitudinal", *paths, "-o", f"{tmp_path}/out", *labelled, *QUICK]) == 0
    assert "label 1        a to b: " in capsys.readouterr().out
    assert (tmp_path / "out" / "LabelGrowth.tsv").read_text().startswith("label\tfrom\tto")


def test_a_failed_pair_has_its_exit_code(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(rigid_middle, "CERTAINLY_WRONG", -1.0)
    assert main(["longitudinal", *paths, "-o", f"{tmp_path}/out", *QUICK]) == 7
    assert (tmp_path / "out" / "report.json").exists()


def test_labels_of_no_point_are_refused(paths, tmp_path, refused):
    out = ("-o", f"{tmp_path}/out")
    assert "add --labels" in refused(2, "longitudinal", *paths, *out, "--labels-of", "2")
    assert "there are 2 time points" in refused(
        2, "longitudinal", *paths, *out, "--labels", paths[0], "--labels-of", "3"
    )


def test_parts_compose_to_the_map_of_any_two(paths, tmp_path, call):
    out = tmp_path / "out"
    call("longitudinal", *paths, "-o", str(out), *QUICK)
    names = ("[{}/a_0GenericAffine.mat,1]", "{}/a_1InverseWarp.nii.gz", "{}/b_1Warp.nii.gz", "{}/b_0GenericAffine.mat")
    parts = [word for name in names for word in ("-t", name.format(out))]
    call("compose", *parts, "-o", f"{tmp_path}/a_to_b.h5", "--backend", "numba")
    points = np.pad(np.random.default_rng(0).uniform(-25, 25, (50, 2)), ((0, 0), (0, 1)))
    one, other = (read_transform(path) for path in (tmp_path / "a_to_b.h5", out / "a_to_b_Composite.h5"))
    np.testing.assert_allclose(one.map_points(points), other.map_points(points), atol=1e-4)
