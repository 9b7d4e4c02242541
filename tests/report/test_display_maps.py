"""2-D maps for display."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.report.display_maps import body_masks, local_mismatch, otsu_thresholds, rescale_intensity, round_up


def test_intensities_between_black_and_white_become_shades():
    plane = np.array([[-1.0, 0.0, 5.0, 10.0, 20.0, np.nan]], np.float32)
    np.testing.assert_array_equal(rescale_intensity(plane, 0, 10), [[0, 0, 0.5, 1, 1, 0]])


def test_otsu_thresholds_part_three_classes():
    low, high = otsu_thresholds(np.repeat([0.1, 0.5, 0.9], 100).reshape(30, 10).astype(np.float32))
    assert 0.1 < low <= 0.5 < high <= 0.9


def test_equal_slices_and_background_do_not_mismatch():
    rng = np.random.default_rng(0)
    fixed = np.zeros((2, 30, 30), np.float32)
    fixed[:, 8:22, 8:22] = rng.random((2, 14, 14))
    assert local_mismatch(fixed, fixed)[:, 10:20, 10:20].max() < 0.02
    other = np.roll(fixed, 5, axis=2)
    assert local_mismatch(fixed, other)[:, 12:18, 12:18].mean() > 0.5
    assert local_mismatch(fixed, other)[:, :4, :4].max() == 0


def test_a_body_mask_has_no_holes():
    ring = np.zeros((1, 40, 40), np.float32)
    ring[0, 10:30, 10:30] = 1
    ring[0, 15:25, 15:25] = 0
    assert body_masks(ring, 0.75)[0, 20, 20] == pytest.approx(1)
    assert body_masks(ring, 0.75)[0, 2, 2] == 0


@pytest.mark.parametrize(("value", "rounded"), [(0.0, 1e-3), (0.31, 0.5), (1.0, 1.0), (7.2, 10.0), (18, 20)])
def test_scales_end_at_round_numbers(value, rounded):
    assert round_up(value) == pytest.approx(rounded)
