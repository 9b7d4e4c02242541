"""``warpline cohort summarise``: files, exit code and words."""

from __future__ import annotations

import json

import pytest

from made_cohort import write_cohort
from warpline.cli.main import main


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(write_cohort(tmp_path_factory.mktemp("summarise"), ["pass", "review", "pass"]))


def test_who_is_left_out_is_said_and_in_the_exit_code(root, capsys):
    assert main(["cohort", "summarise", root, "--fwhm", "0", "4"]) == 3
    captured = capsys.readouterr()
    assert "2 count, 1 are left out" in captured.out and "left out   sub-002: review: " in captured.out
    assert "log_jacobian_fwhm-4.nii" in captured.out and "MB" in captured.err


def test_json_has_the_same(root, tmp_path, capsys):
    folder = str(tmp_path / "s")
    assert main(["cohort", "summarise", root, "-o", folder, "--include-doubtful", "--maps", "none", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["folder"] == folder and record["subjects"] == 3 and record["left_out"] == []
    assert {"warped_mean.nii.gz", "warped_sd.nii.gz", "subjects.tsv", "label_volumes_native.tsv"} <= {*record["files"]}
    assert not any(name.startswith("log_jacobian") for name in record["files"])


def test_allowed_pairs_do_not_change_the_exit_code(root, tmp_path):
    assert main(["cohort", "summarise", root, "-o", f"{tmp_path}/s", "--maps", "none", "--allow-left-out", "50%"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--tissue", "gm"], 2, "NAME=PATTERN is needed"),
        (["--fwhm", "200"], 2, "a width from 0 to 100 mm"),
        (["--maps", "jac"], 2, "map 'jac' is unknown"),
        (["--tissue", "gm=/nowhere/{id}.nii"], 5, "/nowhere/sub-001.nii does not exist"),
    ],
)
def test_wrong_arguments_are_named(root, capsys, tmp_path, arguments, code, words):
    assert main(["cohort", "summarise", root, "-o", f"{tmp_path}/s", *arguments]) == code
    assert words in capsys.readouterr().err and not (tmp_path / "s").exists()
