"""``warpline jacobian``."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.io.images import read_image
from warpline.operations import jacobian

NUMPY = ("--backend", "numpy")


@pytest.fixture
def through(pair):
    return ("-t", pair["warp"], "-t", pair["affine"])


def test_jacobian_includes_the_affine(pair, phantom, through, call, tmp_path):
    output = str(tmp_path / "jacobian.nii.gz")
    record = call("jacobian", *through, "-r", pair["fixed"], "-o", output, *NUMPY)
    expected = jacobian(phantom.transform, phantom.fixed, backend="numpy")
    np.testing.assert_allclose(read_image(output).data, expected.data, atol=1e-4)
    assert record["minimum"] == pytest.approx(expected.data.min(), abs=1e-4) and record["folded_voxels"] == 0
    logs = call("jacobian", *through, "-r", pair["fixed"], "-o", f"{tmp_path}/log.nii", "--log", *NUMPY)
    assert logs["maximum"] == pytest.approx(np.log(record["maximum"]), abs=1e-5)
