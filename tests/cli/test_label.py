"""``warpline label``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from warpline.cli.label import FUSIONS, JOINT
from warpline.cli.main import main
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.labelling import FUSIONS as OFFERED
from warpline.labelling import JointOptions

FAST = ["--recipe", "rigid", "--backend", "numpy", "--threads", "1"]


@pytest.fixture
def files(tmp_path):
    """An image, and two atlases that are it, moved by a voxel or two."""
    x, y = np.indices((32, 32)) - 15.5
    shape = (np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))).astype(np.float32)
    for name, by in (("image", 0), ("one", 1), ("two", 2)):
        moved = np.roll(shape, by, axis=0)
        write_image(Image.from_array(moved), tmp_path / f"{name}.nii")
        write_image(Image.from_array((moved > 1).astype(np.uint8)), tmp_path / f"{name}_labels.nii")
    (tmp_path / "table.csv").write_text("image,labels,name\ntwo.nii,two_labels.nii,second\n")
    return tmp_path


def test_help_names_every_fusion():
    assert tuple(OFFERED) == FUSIONS


def test_help_has_every_setting_of_joint_fusion():
    defaults = vars(JointOptions())
    assert JOINT.keys() == defaults.keys()
    for name, (kind, _, text) in JOINT.items():
        assert kind(text.partition("default: ")[2].split(",")[0]) == defaults[name]


def test_settings_and_kept_registrations_are_shown(files, capsys):
    given = ["--atlases", f"{files}/table.csv", "--atlas", f"{files}/one.nii,{files}/one_labels.nii"]
    kept = ["--registrations", f"{files}/kept", "--search-radius", "1", "--alpha", "0.2"]
    image = f"{files}/image.nii"
    assert main(["label", image, *given, "-o", f"{files}/a_", *kept, *FAST]) == 0
    assert main(["label", image, *given, "-o", f"{files}/b_", *kept, *FAST]) == 0
    assert "kept from an earlier run" in capsys.readouterr().out
    reports = [json.loads((files / f"{name}_report.json").read_text()) for name in "ab"]
    asked = reports[1]["options"]["joint"]
    assert (asked["search_radius"], asked["alpha"], asked["beta"]) == (1, 0.2, 2.0)
    assert reports[0]["files"] == reports[1]["files"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--beta", "-1"], "beta is -1.0"),
        (["--patches", "9"], "from 1 to 8"),
        (["--patch-radius", "x"], "patch-radius"),
        (["--fusion", "local", "--beta", "2"], "no settings"),
    ],
)
def test_settings_that_cannot_be_are_named(given, message, files, capsys):
    atlas = f"{files}/one.nii,{files}/one_labels.nii"
    assert main(["label", f"{files}/image.nii", "--atlas", atlas, "-o", f"{files}/out/", *given, *FAST]) == 2
    assert message in capsys.readouterr().err
    assert not (files / "out").exists()


def test_atlases_of_options_and_of_a_table_are_fused(files, capsys):
    given = ["--atlas", f"{files}/one.nii,{files}/one_labels.nii", "--atlases", f"{files}/table.csv"]
    assert main(["label", f"{files}/image.nii", *given, "-o", f"{files}/out/", "--json", *FAST]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in report["atlases"]] == ["one", "second"]
    truth = read_image(files / "image_labels.nii").data
    assert (read_image(report["outputs"]["labels"]).data == truth).mean() > 0.97


def test_one_atlas_says_that_nothing_is_fused(files, capsys):
    given = ["--atlas", f"{files}/one.nii,{files}/one_labels.nii", "-o", f"{files}/out/a_"]
    assert main(["label", f"{files}/image.nii", *given, *FAST]) == 0
    shown = capsys.readouterr()
    assert "one atlas gives no confidence" in shown.out
    assert "atlas 1 of 1: one" in shown.err
    assert not (files / "out" / "a_confidence.nii.gz").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [([], "no atlas is given"), (["--atlas", "a.nii"], "IMAGE,LABELS"), (["--atlas", ","], "IMAG")],
)
def test_atlases_must_be_given_in_pairs(given, message, files, capsys):
    assert main(["label", f"{files}/image.nii", *given, "-o", f"{files}/out/"]) == 2
    assert message in capsys.readouterr().err
    assert not (files / "out").exists()
