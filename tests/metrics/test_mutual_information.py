"""Mutual information of known distributions."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from metrics.measuring import metric_of, scene, value_of


def test_mutual_information_of_independent_and_of_equal_values(backend):
    points, _, volume = scene(20000)
    equal = map_coordinates(volume, points.T, order=1).astype(np.float32)
    shuffled = np.random.default_rng(5).permutation(equal)
    found, reached = (
        value_of(metric_of("mutual_information", points, values, volume, backend), np.eye(4))[0]
        for values in (shuffled, equal)
    )
    assert -0.05 < found < 0
    counts, _ = np.histogram(equal, bins=28)
    entropy = -sum(p * np.log(p) for p in counts[counts > 0] / counts.sum())
    assert 0.4 * entropy < -reached < entropy  # the Parzen window, four bins wide, blurs the rest away
