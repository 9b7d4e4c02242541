"""``warpline invert``."""

from __future__ import annotations

import numpy as np

from warpline.io.transform_files import read_transform
from warpline.space import Displacement, displacement_on

NUMPY = ("--backend", "numpy")


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


def test_what_the_file_stores_is_said(pair, call, tmp_path):
    images = ("--fixed", pair["fixed"], "--moving", pair["moving"])
    record = call("invert", "-t", pair["affine"], "-o", f"{tmp_path}/back.mat", "--to", "fsl-flirt", *images)
    assert record["stores"] == "moving to fixed; turned round when read"
