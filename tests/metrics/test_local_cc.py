"""Local cross-correlation: forces are derivatives of windows, and noise exerts none."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import SHAPE, measure, rough_pair
from synthetic import ellipsoid
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import Syn

CONTRAST_FLOOR = Syn().contrast_floor


def window_cc(fixed, moving, mask, index, radius):
    near = tuple(slice(max(i - radius, 0), i + radius + 1) for i in index)
    f, m = (np.float64(image[near])[mask[near] > 0] for image in (fixed, moving))
    f, m = f - f.mean(), m - m.mean()
    if min(f @ f, m @ m) <= CONTRAST_FLOOR * f.size:
        return 0.0
    return (f @ m) ** 2 / ((f @ f) * (m @ m))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("radius", [1, 2])
def test_local_cc_forces_are_window_derivatives_by_the_centre(backend, radius, masked):
    fixed, moving = rough_pair(seed=4)
    mask = ellipsoid(SHAPE, 0.45).astype(np.float32) if masked else np.ones(SHAPE, np.float32)
    metric = DEFORMABLE_METRICS["local_cc"](Syn(radius=radius))
    value, *forces = measure(metric, fixed, moving, backend, mask if masked else None)
    inside = [index for index in np.ndindex(SHAPE) if mask[index]]
    expected = -sum(window_cc(fixed, moving, mask, index, radius) for index in inside) / fixed.size
    assert value == pytest.approx(expected, rel=2e-3)
    slopes = [np.stack(np.gradient(np.float64(image))) for image in (fixed, moving)]
    small = 1e-4
    for index in ((6, 6, 5), (4, 7, 6), (7, 4, 4), (8, 6, 7)):
        for side, force in enumerate(forces):
            ends = []
            for sign in (small, -small):
                images = [np.float64(fixed), np.float64(moving)]
                images[side] = images[side].copy()
                images[side][index] += sign
                ends.append(window_cc(*images, mask, index, radius))
            by_centre = (ends[0] - ends[1]) / (2 * small)
            at = (slice(None), *index)
            largest = np.abs(force).max()
            np.testing.assert_allclose(force[at], by_centre * slopes[side][at], rtol=0.02, atol=0.01 * largest)


def test_noise_below_the_contrast_floor_feels_no_force(backend):
    noise = 0.3 * np.sqrt(CONTRAST_FLOOR) * np.random.default_rng(0).normal(size=(2, *SHAPE))
    flat = (0.5 + noise).astype(np.float32)
    value, *forces = measure(DEFORMABLE_METRICS["local_cc"](Syn(radius=2)), *flat, backend)
    assert value == 0
    assert not np.any(forces)
