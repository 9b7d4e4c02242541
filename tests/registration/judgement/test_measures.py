"""Signs that are measured on a result."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpline.registration.judgement.measures import angle_between, quality_signs
from warpline.space import Affine


@pytest.mark.parametrize("degrees", [0, 15, 90, 170])
def test_the_angle_ignores_scales_and_shifts(degrees):
    first, second = np.eye(4), np.eye(4)
    first[:3, :3] = np.diag([1.2, 0.9, 1.0])
    second[:3, :3] = 1.5 * Rotation.from_rotvec([0, 0, degrees], degrees=True).as_matrix()
    second[:3, 3] = 5
    assert angle_between(Affine(first), Affine(second)) == pytest.approx(degrees, abs=1e-4)


def test_signs_of_invertibility_are_those_of_the_quality():
    values = {"folded_voxels": 3, "inverse_error_mean": 0.1, "inverse_error_p99": 0.2, "jacobian_max": 4.0}
    assert quality_signs(SimpleNamespace(**values, rounds=2)) == values
