"""Weights of Gaussians, and where coarse grids lie on fine ones."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.backends.gaussian import downsampling_offset, gaussian


@pytest.mark.parametrize(("sigma", "radius"), [(0.0, 0), (0.1, 1), (0.5, 2), (1.0, 3), (1.5, 5), (2.3, 7)])
def test_the_radius_is_three_deviations_and_at_least_one(sigma, radius):
    assert len(gaussian(sigma)) == radius + 1


@pytest.mark.parametrize("sigma", [0.1, 0.7, 4.0])
def test_weights_of_both_sides_add_up_to_one(sigma):
    taps = gaussian(sigma).astype(np.float64)
    assert 2 * taps.sum() - taps[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("n_in", "n_out", "factor"), [(8, 4, 2.0), (9, 4, 2.0), (7, 3, 2.5)])
def test_a_coarse_axis_is_centred_on_the_fine_one(n_in, n_out, factor):
    positions = downsampling_offset(n_in, n_out, factor) + factor * np.arange(n_out)
    assert positions.mean() == pytest.approx((n_in - 1) / 2)
