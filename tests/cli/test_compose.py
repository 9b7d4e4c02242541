"""``warpline compose``."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.io.transform_files import read_transform


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
