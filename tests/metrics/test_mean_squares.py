"""Mean squared difference: forces are the exact derivative."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import SHAPE, measure, rough_pair
from synthetic import ellipsoid
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import Syn


def mean_square(fixed, moving, mask):
    return np.mean(mask * (np.float64(fixed) - moving) ** 2)


@pytest.mark.parametrize("masked", [False, True])
def test_forces_of_the_squared_difference_are_the_exact_slope(backend, masked):
    fixed, moving = rough_pair()
    mask = ellipsoid(SHAPE, 0.45).astype(np.float32) if masked else None
    weight = np.ones(SHAPE) if mask is None else mask
    metric = DEFORMABLE_METRICS["mean_squares"](Syn(radius=2))
    value, on_fixed, on_moving = measure(metric, fixed, moving, backend, mask)
    assert value == pytest.approx(mean_square(fixed, moving, weight), rel=1e-5)
    slopes = [np.stack(np.gradient(np.float64(image))) for image in (fixed, moving)]
    small, rng = 1e-3, np.random.default_rng(0)
    for _ in range(5):
        along = np.zeros((3, *SHAPE))
        along[:, 1:-1, 1:-1, 1:-1] = rng.normal(size=(3, 11, 10, 9))
        for side, force in enumerate((on_fixed, on_moving)):
            ends = []
            for sign in (small, -small):
                moved = [np.float64(fixed), np.float64(moving)]
                moved[side] = moved[side] + sign * (along * slopes[side]).sum(axis=0)
                ends.append(mean_square(*moved, weight))
            numeric = (ends[0] - ends[1]) / (2 * small)
            assert -2 * np.sum(along * force) / fixed.size == pytest.approx(numeric, rel=1e-4, abs=1e-9)
