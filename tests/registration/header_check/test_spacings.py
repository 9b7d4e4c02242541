"""Voxel sizes that an image may have, from its size and from a map."""

from __future__ import annotations

import numpy as np
import pytest

from faulty_headers import heads, scaled
from warpline.registration.header_check.spacings import (
    UNCHANGED,
    candidates,
    extent,
    is_lost,
    measured_factors,
    proposed_factors,
    stretched,
)


def test_objects_of_like_size_need_no_other_sizes():
    assert candidates(*heads()) == (UNCHANGED,)


@pytest.mark.parametrize(("factor", "unit"), [(0.1, 10.0), (10.0, 0.1), (0.001, 1000.0), (1000.0, 0.001)])
def test_a_wrong_unit_is_among_the_candidates(factor, unit):
    reference, image = heads()
    assert candidates(reference, scaled(image, factor)) == (UNCHANGED, (unit,) * 3)


def test_lost_sizes_are_estimated_axis_by_axis():
    reference, image = heads()
    lost = scaled(image, 0.2)
    assert is_lost(lost.grid) and candidates(reference, lost)[1:] == ((pytest.approx(5.0, rel=0.05),) * 3,)


def test_extent_is_the_deviation_of_the_foreground():
    _, image = heads()
    np.testing.assert_allclose(extent(image) * 5.0, np.array([52.0, 68.0, 45.0]) / 5**0.5, rtol=0.05)


def test_a_grid_is_stretched_about_its_middle():
    grid = heads()[1].grid
    larger = stretched(grid, (2.0, 2.0, 3.0))
    np.testing.assert_allclose(larger.centre, grid.centre)
    np.testing.assert_allclose(larger.voxel_size, [10.0, 10.0, 15.0])


def test_a_map_measures_the_sizes():
    grid = heads()[1].grid
    np.testing.assert_allclose(measured_factors(grid, np.diag([0.5, 0.25, 1.0, 1.0])), [2.0, 4.0, 1.0])


@pytest.mark.parametrize(
    ("measured", "swapped", "proposed"),
    [
        ((1.1, 0.9, 1.2), (1, 1, 1), (1, 1, 1)),
        ((9.0, 11.0, 10.5), (1, 1, 1), (10, 10, 10)),
        ((2.2, 0.45, 1.0), (2.0, 0.5, 1.0), (2.0, 0.5, 1.0)),
        ((1.25, 0.8, 1.0), (1.3, 1 / 1.3, 1.0), (1.3, 1 / 1.3, 1.0)),
        ((2.2, 2.8, 2.3), (1, 1, 1), (2.2, 2.8, 2.3)),
    ],
)
def test_what_is_proposed(measured, swapped, proposed):
    np.testing.assert_allclose(proposed_factors(np.array(measured), np.array(swapped, float)), proposed)
