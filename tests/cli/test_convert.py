"""``warpline convert``."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.io.transform_files import read_transform
from warpline.space import Affine


def test_convert_keeps_the_direction(pair, phantom, call, tmp_path):
    _, affine = phantom.transform.parts
    images = ("--fixed", pair["fixed"], "--moving", pair["moving"])
    record = call("convert", pair["affine"], f"{tmp_path}/flirt.mat", "--to", "fsl-flirt", *images)
    assert record["stores"] == "moving to fixed; turned round when read"
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
