"""Mutual information as a function of parameters."""

from __future__ import annotations

import numpy as np
import pytest

from warpline import dipy as ours
from warpline.errors import InputError


def test_the_metric_as_a_function_of_parameters(brain):
    transform = ours.RigidTransform3D()
    metric = ours.MutualInformationMetric(32, 0.2)
    with pytest.raises(InputError, match="call setup"):
        metric.distance(transform.get_identity_parameters())
    metric.setup(transform, brain.data, brain.data, brain.affine, brain.affine)
    here = np.array([0.02, -0.03, 0.01, 1.0, -1.5, 0.5])
    slope, steps = metric.gradient(here), np.array([1e-5] * 3 + [1e-3] * 3)
    numeric = [
        (metric.distance(here + step * unit) - metric.distance(here - step * unit)) / (2 * step)
        for step, unit in zip(steps, np.eye(6), strict=True)
    ]
    np.testing.assert_allclose(slope, numeric, rtol=0.05, atol=0.02 * np.abs(slope[3:]).max())
    assert metric.distance(np.zeros(6)) < metric.distance(here) < 0
