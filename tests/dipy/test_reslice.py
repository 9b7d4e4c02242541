"""Other voxel sizes, against DIPY's reslice."""

from __future__ import annotations

import numpy as np
import pytest

from warpline import dipy as ours
from warpline.errors import InputError


@pytest.mark.parametrize("dtype", [np.float64, np.int16])
@pytest.mark.parametrize(("order", "mode"), [(0, "constant"), (1, "constant"), (1, "nearest"), (3, "reflect")])
def test_reslice_is_dipys(dtype, order, mode):
    dipy = pytest.importorskip("dipy.align.reslice")
    rng = np.random.default_rng(0)
    affine = np.diag([-2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = 10, -20, 5
    for shape in ((14, 12, 10), (14, 12, 10, 2)):
        data = (100 * rng.normal(size=shape)).astype(dtype)
        expected, there = dipy.reslice(data, affine, (2, 2, 3), (1.5, 2.5, 2.0), order=order, mode=mode)
        found, here = ours.reslice(data, affine, (2, 2, 3), (1.5, 2.5, 2.0), order=order, mode=mode)
        assert found.dtype == expected.dtype and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-9 if dtype is np.float64 else 1)
        np.testing.assert_allclose(here, there)


def test_reslice_names_bad_sizes():
    with pytest.raises(InputError, match="new_zooms is"):
        ours.reslice(np.zeros((4, 4, 4)), np.eye(4), (1, 1, 1), (1, 0, 1))
