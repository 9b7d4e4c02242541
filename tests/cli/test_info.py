"""``warpline info``."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.io.transform_files import write_transform
from warpline.space import Displacement
from warpline.space.grid import Grid


def test_info_says_format_direction_and_grid(pair, phantom, call, capsys):
    record = call("info", pair["warp"])
    assert record["format"] == "itk-warp" and record["kind"] == "displacement" and record["stores"] == "fixed to moving"
    (part,) = record["parts"]
    assert part["grid"]["shape"] == list(phantom.fixed.grid.shape)
    assert part["largest_mm"] == pytest.approx(np.linalg.norm(phantom.transform.parts[0].field, axis=0).max(), rel=1e-5)
    record = call("info", pair["affine"])
    np.testing.assert_allclose(record["parts"][0]["matrix"], phantom.transform.parts[1].matrix, atol=1e-9)


def test_info_in_words(pair, capsys):
    from warpline.cli.main import main

    assert main(["info", pair["warp"]]) == 0
    shown = capsys.readouterr().out
    assert "itk-warp" in shown and "fixed world to moving world" in shown and "32 x 37 x 32" in shown


def test_info_counts_where_nothing_is_known(call, tmp_path):
    field = np.ones((3, 4, 5, 6), np.float32)
    field[:, 0] = np.nan
    write_transform(Displacement(field, Grid((4, 5, 6), np.eye(4))), tmp_path / "y.nii", "spm-deformation")
    (part,) = call("info", f"{tmp_path}/y.nii")["parts"]
    assert part["unknown_voxels"] == 30 and part["largest_mm"] == pytest.approx(3**0.5)


def test_info_says_what_is_missing(pair, call, tmp_path):
    images = ("--fixed", pair["fixed"], "--moving", pair["moving"])
    call("convert", pair["affine"], f"{tmp_path}/flirt.mat", "--to", "fsl-flirt", *images)
    assert call("info", f"{tmp_path}/flirt.mat", "--from", "fsl-flirt")["needs"]
    assert call("info", f"{tmp_path}/flirt.mat", "--from", "fsl-flirt", *images)["kind"] == "affine"


@pytest.mark.parametrize("name", ["info", "convert", "jacobian", "invert", "compose"])
def test_images_and_missing_files_are_no_transforms(name, pair, refused, tmp_path):
    arguments = {
        "info": lambda path: (path,),
        "convert": lambda path: (path, f"{tmp_path}/out.mat"),
        "jacobian": lambda path: ("-t", path, "-r", pair["fixed"], "-o", f"{tmp_path}/out.nii"),
        "invert": lambda path: ("-t", path, "-o", f"{tmp_path}/out.mat"),
        "compose": lambda path: ("-t", path, "-o", f"{tmp_path}/out.mat"),
    }[name]
    assert "no transform file" in refused(5, name, *arguments(pair["fixed"]))
    assert "does not exist" in refused(5, name, *arguments(f"{tmp_path}/absent.mat"))
    assert list(tmp_path.iterdir()) == []
