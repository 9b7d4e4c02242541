"""Points and starts of 2-D images in the planes of these."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.registration.planes import in_planes_of, led_into_plane
from warpline.space import Affine
from warpline.space.grid import Grid

POINTS = np.array([[1.0, 2, 3], [4, 5, 6]])


def slice_at(height, flat=True):
    affine = np.eye(4)
    affine[2, 3] = height
    return Grid((6, 6, 1), affine, flat)


@pytest.mark.parametrize(
    ("moving", "height"),
    [(slice_at(7, flat=False), 7), (slice_at(7), 7), (Grid((6, 6, 6), np.eye(4)), 2)],
    ids=["slice", "flat", "volume"],
)
def test_either_side_lies_in_its_own_plane(moving, height):
    fixed, other = in_planes_of(slice_at(2), moving, (POINTS, POINTS))
    np.testing.assert_array_equal(fixed, [[1, 2, 2], [4, 5, 2]])
    np.testing.assert_array_equal(other, [[1, 2, height], [4, 5, height]])


def test_points_of_volumes_keep_their_heights():
    sides = in_planes_of(slice_at(2, flat=False), slice_at(7), (POINTS, POINTS))
    assert sides[0] is POINTS and sides[1] is POINTS


@pytest.mark.parametrize("rise", [0.0, 5.0])
def test_a_start_leads_to_the_second_height(rise):
    start = np.eye(4)
    start[2, 3] = rise
    found = led_into_plane(Affine(start), slice_at(2), 2.0, 7.0)
    np.testing.assert_allclose(found.matrix[:3, 3], [0, 0, 5])
