from __future__ import annotations

import numpy as np
import pytest

from warpline.cli import evaluate
from warpline.cli.main import main
from warpline.evaluation import folding, inverse_error, landmark_error, overlap
from warpline.resampling import INTERPOLATIONS, warp

NUMPY = ("--backend", "numpy")
BY_LABEL = ("--interpolation", "label", *NUMPY)


def test_everything_at_once_by_prefix(pair, phantom, backend, call):
    record = call(
        "evaluate",
        *("--fixed-labels", pair["fixed_labels"], "--moving-labels", pair["moving_labels"]),
        *("--fixed-points", pair["fixed_points"], "--moving-points", pair["moving_points"]),
        *("--prefix", pair["prefix"], *NUMPY),
    )
    warped = warp(phantom.moving_labels, phantom.transform, phantom.fixed.grid, order=0, backend=backend)
    expected = overlap(phantom.fixed_labels, warped)
    assert record["overlap"]["mean"] == pytest.approx(expected.mean, abs=1e-3)
    assert {int(label) for label in record["overlap"]["dice"]} == set(expected.dice)
    field = phantom.transform.parts[0]
    assert record["folding"]["count"] == folding(field, phantom.fixed_labels, backend=backend).count
    error = inverse_error(phantom.transform, phantom.transform.inverse(), phantom.fixed.grid, phantom.fixed_labels)
    assert record["inverse_error"]["mean"] == pytest.approx(error.mean, abs=1e-3)
    assert record["landmark_error_mm"]["mean"] < 1e-3


def test_identical_labels_overlap_fully(pair, call):
    record = call("evaluate", "--fixed-labels", pair["fixed_labels"], "--warped-labels", pair["fixed_labels"])
    assert record.keys() == {"overlap"}
    assert set(record["overlap"]["dice"].values()) == {1.0}


@pytest.mark.parametrize("interpolation", ["nearest", "label"])
def test_labels_are_carried_by_the_named_interpolation(pair, phantom, backend, call, interpolation):
    labels = ("--fixed-labels", pair["fixed_labels"], "--moving-labels", pair["moving_labels"])
    record = call("evaluate", *labels, "--prefix", pair["prefix"], "--interpolation", interpolation, *NUMPY)
    carry = INTERPOLATIONS[interpolation]
    warped = carry(phantom.moving_labels, phantom.transform, phantom.fixed.grid, outside=0.0, backend=backend)
    other = carry_by_the_other(phantom, backend, interpolation)
    expected = overlap(phantom.fixed_labels, warped).mean
    assert record["overlap"]["interpolation"] == interpolation
    assert abs(record["overlap"]["mean"] - expected) < abs(overlap(phantom.fixed_labels, other).mean - expected)


def carry_by_the_other(phantom, backend, interpolation):
    carry = INTERPOLATIONS["label" if interpolation == "nearest" else "nearest"]
    return carry(phantom.moving_labels, phantom.transform, phantom.fixed.grid, outside=0.0, backend=backend)


def test_evaluate_repeats_what_apply_wrote_by_label(pair, call, tmp_path):
    carried = str(tmp_path / "labels.nii.gz")
    through = ("-t", pair["warp"], "-t", pair["affine"])
    call("apply", "-i", pair["moving_labels"], "-r", pair["fixed"], *through, *BY_LABEL, "-o", carried)
    labels = ("evaluate", "--fixed-labels", pair["fixed_labels"])
    written = call(*labels, "--warped-labels", carried)["overlap"]
    again = call(*labels, "--moving-labels", pair["moving_labels"], *through, *BY_LABEL)["overlap"]
    assert written["interpolation"] == "as given"
    assert again["dice"] == written["dice"]


def test_interpolations_are_those_of_apply():
    assert set(evaluate.INTERPOLATIONS) <= INTERPOLATIONS.keys()


def test_landmarks_before_registration(pair, phantom, call):
    record = call("evaluate", "--fixed-points", pair["fixed_points"], "--moving-points", pair["moving_points"])
    expected = np.linalg.norm(phantom.fixed_points - phantom.moving_points, axis=1).mean()
    assert record["landmark_error_mm"]["mean"] == pytest.approx(expected, abs=1e-3)


def test_landmarks_follow_the_affine_alone(pair, phantom, call):
    points = ("--fixed-points", pair["fixed_points"], "--moving-points", pair["moving_points"])
    expected = landmark_error(phantom.fixed_points, phantom.moving_points, phantom.transform.parts[1]).mean
    record = call("evaluate", *points, "-t", pair["affine"])
    assert record.keys() == {"landmark_error_mm"}
    assert record["landmark_error_mm"]["mean"] == pytest.approx(expected, abs=1e-3)


def test_table_has_a_row_per_label(pair, phantom, capsys):
    files = ["--fixed-labels", pair["fixed_labels"], "--moving-labels", pair["moving_labels"]]
    assert main(["evaluate", *files, "--prefix", pair["prefix"], *NUMPY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("carried over by nearest neighbour" in line for line in lines)
    first_words = {line.strip("│┃ ").split(" ")[0] for line in lines}
    assert {str(label) for label in np.unique(phantom.fixed_labels.data)[1:]} <= first_words
    assert [line.split(":")[0] for line in lines[-3:]] == ["folding", "folding by any differences", "inverse error"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--fixed-labels", "a"],
        ["--moving-labels", "a"],
        ["--fixed-labels", "a", "--moving-labels", "b", "--warped-labels", "c"],
        ["--fixed-labels", "a", "--warped-labels", "c", "--interpolation", "label"],
        ["--fixed-points", "a"],
        ["--prefix", "a", "-t", "b"],
    ],
)
def test_arguments_that_do_not_fit_are_wrong_usage(refused, arguments):
    assert "--" in refused(2, "evaluate", *arguments)


def test_labels_on_another_grid_are_refused(pair, refused):
    line = refused(5, "evaluate", "--fixed-labels", pair["fixed_labels"], "--warped-labels", pair["moving_labels"])
    assert pair["moving_labels"] in line
