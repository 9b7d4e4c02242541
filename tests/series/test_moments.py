"""Mean and standard deviation of volumes that pass."""

from __future__ import annotations

import numpy as np

from warpline.series.moments import Moments
from warpline.space.grid import Grid


def test_moments_are_those_of_all_volumes():
    volumes = np.random.default_rng(0).normal(1e4, 3, (7, 3, 4, 2)).astype(np.float32)
    found = Moments(Grid((3, 4, 2), np.eye(4)))
    np.testing.assert_array_equal(list(found.passing(volumes)), volumes)
    np.testing.assert_allclose(found.mean.data, volumes.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.deviation.data, volumes.std(axis=0, dtype=np.float64), rtol=1e-4)
