"""Global correlation: its value is that of the grey values, and its forces are derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import SHAPE, measure, rough_pair
from synthetic import ellipsoid, smooth_volume
from warpline.metrics.global_correlation import GlobalCorrelation


def squared_correlation(fixed, moving, mask=None):
    inside = np.ones(SHAPE, bool) if mask is None else mask > 0
    return np.corrcoef(np.float64(fixed)[inside], np.float64(moving)[inside])[0, 1] ** 2


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("masked", [False, True])
def test_the_value_is_the_squared_correlation_negated(backend, masked, sign):
    fixed, other = rough_pair(seed=4)
    moving = (0.4 + 0.3 * other + sign * 0.2 * fixed).astype(np.float32)
    mask = ellipsoid(SHAPE, 0.45).astype(np.float32) if masked else None
    value, *_ = measure(GlobalCorrelation(), fixed, moving, backend, mask)
    # Sums of squares and products of float32 lose some 1e-7 of the second moment, a few times the variance.
    assert value == pytest.approx(-squared_correlation(fixed, moving, mask), abs=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_forces_are_derivatives_times_slopes(backend, masked):
    fixed, other = rough_pair(seed=4)
    moving = (0.5 * other + 0.5 * fixed).astype(np.float32)
    mask = ellipsoid(SHAPE, 0.45).astype(np.float32) if masked else None
    _, *forces = measure(GlobalCorrelation(), fixed, moving, backend, mask)
    count, small = fixed.size if mask is None else int(mask.sum()), 1e-3
    for side, force in enumerate(forces):
        slopes = np.stack(np.gradient(np.float64((fixed, moving)[side])))
        for index in ((6, 6, 5), (4, 7, 6), (7, 4, 4), (8, 6, 7)):
            ends = []
            for step in (small, -small):
                images = [np.float64(fixed), np.float64(moving)]
                images[side][index] += step
                ends.append(squared_correlation(*images, mask))
            derivative = count * (ends[0] - ends[1]) / (2 * small)
            at = (slice(None), *index)
            np.testing.assert_allclose(force[at], derivative * slopes[at], rtol=1e-3, atol=1e-4 * np.abs(force).max())


def test_outside_the_mask_nothing_counts(backend):
    fixed, moving = rough_pair(seed=6)
    mask = ellipsoid(SHAPE, 0.4).astype(np.float32)
    changed = np.where(mask > 0, moving, smooth_volume(SHAPE, 9)).astype(np.float32)
    value, *forces = measure(GlobalCorrelation(), fixed, moving, backend, mask)
    other, *_ = measure(GlobalCorrelation(), fixed, changed, backend, mask)
    assert value == other
    assert all(np.any(force) and not force[:, mask == 0].any() for force in forces)


def test_flat_images_have_no_correlation(backend):
    flat, textured = np.full(SHAPE, 0.5, np.float32), smooth_volume(SHAPE)
    for pair in ((flat, textured), (textured, flat), (flat, flat)):
        value, *forces = measure(GlobalCorrelation(), *pair, backend)
        assert value == 0 and not np.any(forces)


def test_an_empty_mask_has_no_correlation(backend):
    value, *forces = measure(GlobalCorrelation(), *rough_pair(), backend, np.zeros(SHAPE, np.float32))
    assert value == 0 and not np.any(forces)
