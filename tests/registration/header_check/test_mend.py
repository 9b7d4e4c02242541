"""The affine that a reading of a header comes to."""

from __future__ import annotations

import numpy as np
import pytest

from faulty_headers import heads, scaled, shifted
from warpline.registration.header_check.mend import distance_by, factors_of, mended_grid
from warpline.registration.header_check.search import Hypothesis
from warpline.registration.judgement import Agreement

AGREEMENT = Agreement(correlation=0.5, voxels=1000, overlap=1.0, coverage=1.0)
MIDDLE, RADIUS = np.zeros(3), 25.0


def hypothesis(to_header, orientation=None):
    return Hypothesis(np.eye(3) if orientation is None else orientation, (1.0, 1.0, 1.0), to_header, 1.0, AGREEMENT)


def test_nothing_is_mended_where_nothing_is_wrong():
    grid = heads()[1].grid
    mended, distance = mended_grid(hypothesis(np.eye(4)), grid, MIDDLE, RADIUS)
    assert mended == grid and distance == 0.0


@pytest.mark.parametrize("origin", [True, False])
def test_sizes_are_mended_with_the_origin_or_without(origin):
    right = heads()[1]
    wrong = scaled(right, 0.1, origin=origin).grid
    to_header = wrong.affine @ right.grid.inverse_affine
    assert (factors_of(hypothesis(to_header), wrong) == 10).all()
    mended, distance = mended_grid(hypothesis(to_header), wrong, MIDDLE, RADIUS)
    assert mended == right.grid and distance == 0.0


def test_an_origin_far_off_is_moved():
    right = heads()[1].grid
    wrong = shifted(heads()[1], (0, 0, 90.0)).grid
    found = hypothesis(wrong.affine @ right.inverse_affine)
    mended, distance = mended_grid(found, wrong, MIDDLE, RADIUS)
    assert mended == right and distance == pytest.approx(90.0) == distance_by(wrong, found, wrong, MIDDLE)


def test_a_flipped_axis_keeps_the_middle():
    grid = heads()[1].grid
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    mended, distance = mended_grid(hypothesis(flip, flip[:3, :3]), grid, MIDDLE, RADIUS)
    np.testing.assert_allclose(mended.affine[:3, 0], [-5.0, 0, 0])
    np.testing.assert_allclose(mended.centre, grid.centre)
    assert distance == 0.0
