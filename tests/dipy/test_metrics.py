"""Metrics of SyN by their DIPY names."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from warpline import dipy as ours
from warpline.recipe import Syn


@pytest.mark.parametrize("step", ["demons", "gauss_newton"])
def test_em_registers_inverted_contrasts(step):
    rng = np.random.default_rng(0)
    static = ndimage.gaussian_filter(rng.normal(size=(64, 56)), 4)
    static = np.where(static > 0, static, 0) / static.max()
    moved = ndimage.shift(static, (2.0, -1.5), order=1)
    sdr = ours.SymmetricDiffeomorphicRegistration(ours.EMMetric(2, 2.0, step_type=step), [40, 20])
    mapping = sdr.optimize(static, np.exp(-3 * moved))
    before, after = (np.abs(image - static).mean() for image in (moved, mapping.transform(moved)))
    assert after < 0.5 * before


def test_correlation_takes_contrasts_as_given():
    """DIPY's does: no image goes through a curve."""
    assert Syn(**ours.CCMetric(3).options()).contrast == "given"
