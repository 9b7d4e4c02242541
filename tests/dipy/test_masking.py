"""Brain masks against DIPY's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from warpline import dipy as ours
from warpline.errors import UsageError

theirs = pytest.importorskip("dipy.segment.mask")


def head(dtype="f8"):
    """A bright ball with a hole, an island and noise."""
    rng = np.random.default_rng(0)
    voxels = np.stack(np.indices((26, 24, 22)), -1)
    volume = 100.0 * (np.linalg.norm(voxels - [12, 12, 11], axis=-1) < 8)
    volume[10:14, 10:14, 9:13] = 0
    volume[22:26, 20:24, 1:5] = 90
    volume = ndimage.gaussian_filter(volume, 0.7) + np.abs(rng.normal(scale=4, size=volume.shape))
    return volume.astype(dtype)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1"])
@pytest.mark.parametrize(
    "how",
    [
        {"median_radius": 1, "numpass": 2},
        {"median_radius": 1, "numpass": 1, "dilate": 2},
        {"median_radius": 1, "numpass": 1, "finalize_mask": True},
        {"median_radius": 2, "numpass": 0},
    ],
    ids=str,
)
def test_masks_as_dipy(dtype, how, monkeypatch):
    monkeypatch.setenv("WARPLINE_THREADS", "3")
    volume = head(dtype)
    expected, expected_mask = theirs.median_otsu(volume, **how)
    masked, mask = ours.median_otsu(volume, **how)
    assert mask.dtype == expected_mask.dtype and 0 < mask.mean() < 1
    np.testing.assert_array_equal(mask, expected_mask)
    assert masked.dtype == expected.dtype
    np.testing.assert_array_equal(masked, expected)


def test_default_options_as_dipy():
    volume = head("f4")[4:20, 4:20, 3:18]
    np.testing.assert_array_equal(ours.median_otsu(volume)[1], theirs.median_otsu(volume)[1])


def test_series_and_crop_as_dipy():
    series = np.stack([head(), 0.5 * head(), head() ** 0.9], axis=-1)
    how = {"vol_idx": [0, 2], "median_radius": 1, "numpass": 1, "autocrop": True}
    with pytest.warns(Warning):
        expected, expected_mask = theirs.median_otsu(series, **how)
    masked, mask = ours.median_otsu(series, **how)
    np.testing.assert_array_equal(mask, expected_mask)
    np.testing.assert_array_equal(masked, expected)


def test_series_needs_volumes():
    with pytest.raises(UsageError, match="vol_idx"):
        ours.median_otsu(np.zeros((5, 5, 5, 2)))
