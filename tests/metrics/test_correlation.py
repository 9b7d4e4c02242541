"""Correlation against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from metrics.measuring import metric_of, scene, value_of


def test_correlation_agrees_with_numpy(backend):
    points, values, volume = scene()
    metric = metric_of("correlation", points, values, volume, backend)
    expected = np.corrcoef(values, map_coordinates(volume, points.T, order=1, output=np.float64))[0, 1]
    assert value_of(metric, np.eye(4))[0] == pytest.approx(-(expected**2), rel=1e-5)
