"""Arguments that several commands share."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from made_headers import HEADERS, MIRRORED, ONE, SHAPE, write_header
from warpline.cli.main import COMMANDS, main
from warpline.cli.options import GEOMETRIES, RECIPES
from warpline.io.images import read_image
from warpline.io.nifti_geometry import CHOICES
from warpline.io.transform_files import read_transform, write_transform
from warpline.recipe import PRESETS
from warpline.space import Affine


@pytest.mark.parametrize("name", ["compose", "invert", "convert"])
def test_an_input_is_never_overwritten(name, pair, refused):
    path = pair["affine"]
    arguments = (path, path) if name == "convert" else ("-t", path, "-o", path)
    assert "overwrite" in refused(2, name, *arguments)


IMAGES = ("register", "apply", "apply-points", "compose", "invert", "convert", "jacobian", "info", "evaluate")
"""Commands that read images."""


@pytest.fixture
def files(tmp_path):
    """An image whose sform and qform differ, one that is clear, labels in micrometres, and an identity."""
    data = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    labels = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.int16)
    write_transform(Affine.identity(), tmp_path / "id.tfm")
    return {
        "open": str(write_header(tmp_path / "open.nii", **HEADERS["sform 4"], data=data)),
        "clear": str(write_header(tmp_path / "clear.nii", **HEADERS["both equal"], data=data)),
        "micro": str(write_header(tmp_path / "micro.nii", **HEADERS["micrometres"], data=labels)),
        "id": str(tmp_path / "id.tfm"),
        "out": str(tmp_path / "out.nii"),
    }


def said(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


WRONG_ORDER = {
    "apply": ["-i", "{moving}", "-r", "{fixed}", "-o", "{out}.nii.gz", "--backend", "numpy"],
    "apply-points": ["-i", "{fixed_points}", "-o", "{out}.csv", "--to", "moving"],
    "compose": ["-o", "{out}.h5"],
    "evaluate": ["--fixed-points", "{fixed_points}", "--moving-points", "{moving_points}", "--backend", "numpy"],
    "invert": ["--moving", "{moving}", "-o", "{out}.nii.gz", "--backend", "numpy"],
    "jacobian": ["-r", "{fixed}", "-o", "{out}.nii.gz", "--backend", "numpy"],
}


@pytest.mark.parametrize("command", WRONG_ORDER)
def test_transforms_in_the_wrong_order_are_warned_of(pair, capsys, tmp_path, command):
    rest = [word.format(**pair, out=tmp_path / "out") for word in WRONG_ORDER[command]]
    assert main([command, "-t", pair["affine"], "-t", pair["warp"], *rest]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "in the wrong order" in line]
    assert len(warned) == 1 and f"-t {pair['warp']} -t {pair['affine']}" in warned[0]


def test_choices_are_those_of_the_room_below():
    assert GEOMETRIES == CHOICES
    assert tuple(PRESETS) == RECIPES


@pytest.mark.parametrize("command", IMAGES)
def test_every_command_that_reads_images_takes_geometry(command, capsys):
    assert main([command, "--help"]) == 0
    assert "--geometry" in capsys.readouterr().out
    assert set(IMAGES) < set(COMMANDS)


@pytest.mark.parametrize(("asked", "matrix"), [((), ONE), (("--geometry", "qform"), MIRRORED)])
def test_apply_warns_once_where_tools_place_voxels_elsewhere(files, asked, matrix, capsys):
    given = ("-i", files["open"], "-r", files["open"], "-t", files["id"], "-o", files["out"])
    assert main(["apply", *given, *asked, "-q", "--backend", "numpy"]) == 0
    (line,) = said(capsys)
    assert files["open"] in line and "ITK" in line and "mm (" in line
    made = nibabel.load(files["out"])
    np.testing.assert_allclose(made.affine, matrix, atol=1e-5)
    np.testing.assert_allclose(made.dataobj, read_image(files["open"]).data, atol=1e-6)
    assert read_image(files["out"]).grid.notes == ()


def test_apply_is_silent_about_headers_that_agree(files, capsys):
    given = ("-i", files["clear"], "-r", files["clear"], "-t", files["id"], "-o", files["out"])
    assert main(["apply", *given, "--backend", "numpy"]) == 0
    assert said(capsys) == []


def test_warnings_stand_in_the_json_record(files, capsys):
    given = ("-i", files["micro"], "-r", files["open"], "-t", files["id"], "-o", files["out"])
    assert main(["apply", *given, "--json", "--backend", "numpy", "--interpolation", "nearest"]) == 0
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert any("micro.nii: its header is in micrometres" in warning for warning in warnings)
    assert any("open.nii: its voxels are placed by the sform (code 4)" in warning for warning in warnings)


def test_jacobian_and_evaluate_say_it_too(files, capsys):
    assert main(["jacobian", "-t", files["id"], "-r", files["open"], "-o", files["out"], "--backend", "numpy"]) == 0
    assert len(said(capsys)) == 1
    assert main(["evaluate", "--fixed-labels", files["micro"], "--warped-labels", files["micro"]]) == 0
    assert len(said(capsys)) == 1


@pytest.mark.parametrize(("asked", "matrix"), [((), ONE), (("--geometry", "qform"), MIRRORED)])
def test_convert_counts_from_the_matrix_that_is_asked_for(files, asked, matrix, capsys, tmp_path):
    np.savetxt(tmp_path / "flirt.mat", np.eye(4))
    between = ("--fixed", files["open"], "--moving", files["clear"])
    given = (str(tmp_path / "flirt.mat"), str(tmp_path / "a.txt"), "--from", "fsl-flirt", "--to", "matrix")
    assert main(["convert", *given, *between, *asked]) == 0
    assert len(said(capsys)) == 1
    expected = ONE @ np.linalg.inv(matrix)  # FSL asks the sform for the handedness, whatever is asked for
    np.testing.assert_allclose(read_transform(tmp_path / "a.txt", "matrix").matrix, expected, atol=1e-5)
