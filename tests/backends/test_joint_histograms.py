"""Mutual information of joint histograms with known values, and its derivative."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.backends.joint_histograms import mutual_information

COUNTS = np.random.default_rng(0).uniform(1, 5, (4, 6))


def test_independent_images_share_no_information():
    joint = np.outer([1.0, 2.0, 3.0], [2.0, 5.0])
    value, total, _ = mutual_information(joint[None])
    assert value[0] == pytest.approx(0, abs=1e-12)
    assert total[0] == joint.sum()


def test_an_image_shares_its_entropy_with_itself():
    share = np.array([0.5, 0.25, 0.25])
    value, *_ = mutual_information(np.diag(8 * share)[None])
    assert value[0] == pytest.approx((share * np.log(share)).sum())


def test_an_empty_histogram_has_value_zero():
    value, total, table = mutual_information(np.zeros((1, 3, 3)))
    assert (value[0], total[0], table.any()) == (0, 0, False)


def test_tables_are_derivatives_for_a_constant_fixed_histogram():
    """Counts move along a row: the total and the sums of rows stay."""
    change = np.zeros_like(COUNTS)
    change[2, 1], change[2, 4] = 1e-5, -1e-5
    (more, less), *_ = mutual_information(np.stack([COUNTS + change, COUNTS - change]))
    table = mutual_information(COUNTS[None])[2][0]
    assert (change * table).sum() == pytest.approx((more - less) / 2, rel=1e-6)
