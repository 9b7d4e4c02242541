"""Masks by median filters and Otsu's threshold; `tests/dipy/test_masking.py` holds them against DIPY's."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import ellipsoid
from warpline.images.median_otsu import largest_without_holes, median_otsu_mask

SHAPE = (20, 18, 16)


def noisy():
    """A bright ellipsoid in noise."""
    return 100.0 * ellipsoid(SHAPE, 0.35) + np.random.default_rng(0).normal(0, 15, SHAPE)


def test_the_object_is_found_in_noise():
    found, true = median_otsu_mask(noisy(), radius=1, passes=1), ellipsoid(SHAPE, 0.35)
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.97


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_slabs_of_threads_give_one_result(threads):
    whole = median_otsu_mask(noisy(), radius=2, passes=2, threads=1)
    np.testing.assert_array_equal(median_otsu_mask(noisy(), radius=2, passes=2, threads=threads), whole)


def test_dilation_grows_through_faces():
    volume = np.zeros((9, 9, 9))
    volume[4, 4, 4] = 1
    assert [median_otsu_mask(volume, radius=1, passes=0, dilation=n).sum() for n in (None, 1, 2)] == [1, 7, 25]


def test_the_largest_piece_is_kept_and_its_holes_filled():
    mask = np.zeros((12, 12, 12), bool)
    mask[2:8, 2:8, 2:8] = True
    solid = mask.copy()
    mask[4:6, 4:6, 4:6] = False
    mask[10, 10, 10] = True
    np.testing.assert_array_equal(largest_without_holes(mask), solid)


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_of_one_value_stays(value):
    mask = np.full((3, 3, 3), value)
    np.testing.assert_array_equal(largest_without_holes(mask), mask)
