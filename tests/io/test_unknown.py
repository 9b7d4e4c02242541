"""NaN that is background gets a value, and is told; other NaN stays, to be refused."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.images import Image
from warpline.io.unknown import fill_unknown

SHAPE = (9, 10, 11)


def brain(low=10.0):
    """An object within a background of NaN, with a hole."""
    data = np.full(SHAPE, np.nan, np.float32)
    data[2:7, 2:8, 2:9] = np.linspace(low, 90, 5 * 6 * 7).reshape(5, 6, 7)
    data[4, 5, 5] = np.nan
    return Image.from_array(data, name="spm.nii")


@pytest.mark.parametrize(("low", "value"), [(10, 0), (-20, -20)])
def test_a_background_of_nan_is_filled_holes_included(low, value):
    given = brain(low)
    filled, said = fill_unknown(given)
    assert np.isfinite(filled.data).all() and filled.data.dtype == np.float32
    known = np.isfinite(given.data)
    np.testing.assert_array_equal(filled.data[known], given.data[known])
    assert (filled.data[~known] == value).all()
    assert said == f"spm.nii: {(~known).sum()} NaN voxels were taken for background, value {value}"


def test_nan_in_a_corner_is_background_but_not_within():
    data = np.ones(SHAPE, np.float32)
    data[:3, :4] = np.nan
    data[6, 6, 6] = np.nan
    filled, said = fill_unknown(Image.from_array(data, name="cut.nii"))
    assert np.argwhere(np.isnan(filled.data)).tolist() == [[6, 6, 6]]
    assert "132 NaN voxels" in said


def test_nan_outside_the_mask_does_not_count():
    data, inside = np.ones(SHAPE), np.zeros(SHAPE, np.uint8)
    inside[3:6, 3:6, 3:6] = 1
    data[6, 6, 6] = np.nan
    assert np.isfinite(fill_unknown(Image.from_array(data), Image.from_array(inside))[0].data).all()
    data[4, 4, 4] = np.nan
    filled, _ = fill_unknown(Image.from_array(data), Image.from_array(inside))
    assert np.isnan(filled.data[4, 4, 4])


@pytest.mark.parametrize("data", [np.ones(SHAPE, np.int16), np.ones(SHAPE), np.full(SHAPE, np.nan)])
def test_other_images_are_left_alone(data):
    image = Image.from_array(data)
    assert fill_unknown(image) == (image, None)
