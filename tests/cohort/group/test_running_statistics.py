"""Running means and deviations are those of all volumes at once."""

from __future__ import annotations

import numpy as np

from warpline.cohort.group.running_statistics import RunningStatistics


def test_mean_and_deviation_are_numpys():
    volumes = np.random.default_rng(1).normal(1e4, 1, (9, 3, 4, 5)).astype(np.float32)
    running = RunningStatistics((3, 4, 5))
    for volume in volumes:
        running.add(volume)
    exact = volumes.astype(np.float64)
    assert np.array_equal(running.mean(), exact.mean(axis=0).astype(np.float32))
    np.testing.assert_allclose(running.deviation(), exact.std(axis=0, ddof=1), rtol=1e-6)


def test_one_volume_does_not_deviate():
    running = RunningStatistics((1, 1, 2))
    running.add(np.array([[[3.0, 4.0]]], np.float32))
    assert running.mean().ravel().tolist() == [3, 4] and not running.deviation().any()
