"""Compose, invert, convert, jacobian and info, as a user types them."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.io.images import read_image
from warpline.io.transform_files import read_transform, write_transform
from warpline.operations import jacobian
from warpline.space import Affine, Displacement, displacement_on
from warpline.space.grid import Grid

NUMPY = ("--backend", "numpy")


@pytest.fixture
def through(pair):
    return ("-t", pair["warp"], "-t", pair["affine"])


@pytest.mark.parametrize("name", ["whole.h5", "whole.nii.gz"])
def test_compose_maps_as_the_parts_do(pair, phantom, through, call, tmp_path, name):
    output = str(tmp_path / name)
    assert call("compose", *through, "-o", output, "--fixed", pair["fixed"])["joined"] == 2
    mapped = read_transform(output).map_points(phantom.fixed_points)
    np.testing.assert_allclose(mapped, phantom.moving_points, atol=0.02 if name.endswith(".gz") else 2e-3)


def test_compose_of_affines_is_an_affine(pair, call, tmp_path):
    call("compose", "-t", pair["affine"], "-t", f"[{pair['affine']},1]", "-o", f"{tmp_path}/one.mat")
    np.testing.assert_allclose(read_transform(f"{tmp_path}/one.mat").matrix, np.eye(4), atol=1e-9)


def test_compose_of_a_warp_does_not_fit_an_affine_file(through, refused, tmp_path):
    assert "whole.mat" in refused(2, "compose", *through, "-o", f"{tmp_path}/whole.mat")
    assert list(tmp_path.iterdir()) == []


def test_invert_says_its_error(pair, phantom, call, tmp_path):
    output = str(tmp_path / "inverse.nii.gz")
    record = call("invert", "-t", pair["warp"], "-o", output, *NUMPY)
    assert record["folded_voxels"] == 0 and record["errors"][0]["largest"] < 0.002
    warp, _ = phantom.transform.parts
    points = phantom.fixed_points
    back = read_transform(output).map_points(warp.map_points(points))
    np.testing.assert_allclose(back, points, atol=0.05 * warp.grid.voxel_size.max())


def test_invert_of_a_chain_lies_on_the_moving_image(pair, phantom, through, call, refused, tmp_path):
    output = str(tmp_path / "inverse.nii.gz")
    assert "give --moving" in refused(2, "invert", *through, "-o", output, *NUMPY)
    call("invert", *through, "-o", output, "--moving", pair["moving"], *NUMPY)
    call("invert", *through, "-o", f"{tmp_path}/inverse.h5", *NUMPY)
    inverse, parts = read_transform(output), read_transform(f"{tmp_path}/inverse.h5")
    assert isinstance(inverse, Displacement) and inverse.grid == phantom.moving.grid
    np.testing.assert_allclose(inverse.field, displacement_on(parts, inverse.grid), atol=1e-3)
    back = parts.map_points(phantom.moving_points)
    np.testing.assert_allclose(back, phantom.fixed_points, atol=0.05 * phantom.fixed.grid.voxel_size.max())


def test_convert_keeps_the_direction(pair, phantom, call, tmp_path):
    _, affine = phantom.transform.parts
    images = ("--fixed", pair["fixed"], "--moving", pair["moving"])
    call("convert", pair["affine"], f"{tmp_path}/flirt.mat", "--to", "fsl-flirt", *images)
    call("convert", f"{tmp_path}/flirt.mat", f"{tmp_path}/again.tfm", "--from", "fsl-flirt", *images)
    again = read_transform(f"{tmp_path}/again.tfm")
    assert isinstance(again, Affine)
    np.testing.assert_allclose(again.matrix, affine.matrix, atol=1e-5)


def test_convert_asks_for_what_it_needs(pair, refused, tmp_path):
    assert "--fixed" in refused(5, "convert", pair["affine"], f"{tmp_path}/flirt.mat", "--to", "fsl-flirt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["convert", "info"])
def test_unknown_formats_are_wrong_usage(command, pair, refused):
    targets = ("out.mat",) if command == "convert" else ()
    line = refused(2, command, pair["affine"], *targets, "--from", "fsl")
    assert "'fsl' is not known; choose from itk-affine" in line


def test_jacobian_includes_the_affine(pair, phantom, through, call, tmp_path):
    output = str(tmp_path / "jacobian.nii.gz")
    record = call("jacobian", *through, "-r", pair["fixed"], "-o", output, *NUMPY)
    expected = jacobian(phantom.transform, phantom.fixed, backend="numpy")
    np.testing.assert_allclose(read_image(output).data, expected.data, atol=1e-4)
    assert record["minimum"] == pytest.approx(expected.data.min(), abs=1e-4) and record["folded_voxels"] == 0
    logs = call("jacobian", *through, "-r", pair["fixed"], "-o", f"{tmp_path}/log.nii", "--log", *NUMPY)
    assert logs["maximum"] == pytest.approx(np.log(record["maximum"]), abs=1e-5)


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


@pytest.mark.parametrize("name", ["compose", "invert", "convert"])
def test_an_input_is_never_overwritten(name, pair, refused):
    path = pair["affine"]
    arguments = (path, path) if name == "convert" else ("-t", path, "-o", path)
    assert "overwrite" in refused(2, name, *arguments)
