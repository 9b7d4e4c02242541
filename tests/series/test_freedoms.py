"""Small maps, and the derivatives of an image by their parameters."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.series.freedoms import FREEDOMS, about
from warpline.space.grid import apply_affine

RADIUS, STEP = 30.0, 1e-5


@pytest.mark.parametrize("name", FREEDOMS)
def test_derivatives_are_those_of_the_map(name):
    derivatives, small_map = FREEDOMS[name]
    rng = np.random.default_rng(1)
    gradient, point = rng.normal(size=3), rng.normal(0, 20, 3)
    found = derivatives(list(gradient), list(point / RADIUS))
    for number, slope in enumerate(found):
        parameters = np.zeros(len(found))
        parameters[number] = STEP
        moved = [apply_affine(small_map(sign * parameters, RADIUS), point) @ gradient for sign in (1, -1)]
        assert slope == pytest.approx((moved[0] - moved[1]) / (2 * STEP), rel=1e-6)


def test_the_centre_of_a_rotation_stays():
    _, small_map = FREEDOMS["rigid"]
    centre = np.array([5.0, -7, 11])
    matrix = about(centre, small_map(np.array([0, 0, 0, 3.0, -2, 1]), RADIUS))
    np.testing.assert_allclose(apply_affine(matrix, centre), centre, atol=1e-12)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
