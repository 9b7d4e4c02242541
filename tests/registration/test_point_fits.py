"""Affine maps of matched points; `test_landmarks` tests them from landmarks as well."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.registration.point_fits import FITS, fit_affine, fit_rigid, fit_similarity, spans

FIXED = np.random.default_rng(0).normal(0, 20, (30, 3))
TURN = np.array([[np.cos(0.4), -np.sin(0.4), 0], [np.sin(0.4), np.cos(0.4), 0], [0, 0, 1]])
SHEAR = TURN @ np.array([[1.1, 0.2, 0], [0, 0.9, 0.1], [0, 0, 1.05]])


@pytest.mark.parametrize(("fit", "linear"), [(fit_rigid, TURN), (fit_similarity, 1.2 * TURN), (fit_affine, SHEAR)])
def test_an_exact_map_is_found(fit, linear):
    found = fit(FIXED, FIXED @ linear.T + [3, -5, 7], 3)
    np.testing.assert_allclose(found.matrix[:3], np.column_stack([linear, [3, -5, 7]]), atol=1e-9)


@pytest.mark.parametrize("name", FITS)
def test_in_a_plane_the_third_coordinate_stays(name):
    found = FITS[name](FIXED, FIXED @ TURN.T + [3, -5, 7], 2)
    np.testing.assert_array_equal(found.matrix[2], [0, 0, 1, 0])
    np.testing.assert_array_equal(found.matrix[:, 2], [0, 0, 1, 0])


@pytest.mark.parametrize("name", FITS)
def test_a_weight_counts_as_so_many_points(name):
    moving = FIXED @ SHEAR.T + np.random.default_rng(1).normal(0, 1, FIXED.shape)
    counts = np.random.default_rng(2).integers(1, 4, len(FIXED))
    repeated = (np.repeat(side, counts, axis=0) for side in (FIXED, moving))
    found = FITS[name](FIXED, moving, 3, counts / 7)
    np.testing.assert_allclose(found.matrix, FITS[name](*repeated, 3, None).matrix, atol=1e-9)


def test_a_mirror_is_refused():
    with pytest.raises(InputError, match="mirror"):
        fit_affine(FIXED, FIXED * [-1, 1, 1], 3)


def test_points_span_what_they_reach_out_in():
    plane = FIXED * [1, 1, 0]
    assert spans(FIXED, 3) and spans(plane, 2) and not spans(plane, 3)
    assert not spans(FIXED * [1, 0, 0], 2) and not spans(FIXED[:2], 2)
