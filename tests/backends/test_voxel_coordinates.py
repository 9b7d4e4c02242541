"""Inside, clamping and nearest voxels: one rule for numbers, arrays and compiled code."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.backends.voxel_coordinates import clamp, inside, is_inside, nearest_index

COORDINATES = np.array([-0.51, -0.5, 0.0, 1.49, 1.5, np.nan])
"""Along an axis of two voxels."""


def column(x):
    return np.stack([x, np.zeros_like(x), np.zeros_like(x)])


@pytest.mark.parametrize(("x", "expected"), [*zip(COORDINATES, [False, True, True, True, False, False], strict=True)])
def test_inside_reaches_half_a_voxel_beyond_the_outer_centres(x, expected):
    assert is_inside(x, 2) == expected
    assert inside(column(np.array([x])), (2, 1, 1)) == [expected]


def test_inside_holds_along_every_axis():
    assert inside(np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 0.0]]), (1, 1, 1)).tolist() == [True, False]


def test_coordinates_are_clamped_to_outer_centres_nan_to_zero():
    assert clamp(column(COORDINATES), (2, 1, 1))[0].tolist() == [0, 0, 0, 1, 1, 0]


def test_the_nearest_voxel_of_a_tie_is_the_upper_one():
    assert nearest_index(column(np.array([-0.5, 0.5, 1.2])), (2, 1, 1))[0].tolist() == [0, 1, 1]


def test_every_backend_samples_by_the_same_rule(backend):
    volume = backend.upload(np.ones((2, 1, 1), np.float32))
    for x in COORDINATES:
        matrix = np.eye(4)
        matrix[0, 3] = x
        sampled = backend.download(backend.sample(volume, matrix, shape=(1, 1, 1), outside=-1.0))
        assert (sampled.item() == 1.0) == is_inside(x, 2)
