"""Background value and foreground of an image."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.images.foreground import (
    background_value,
    foreground_mask,
    foreground_threshold,
    level_foreground,
    outer_faces,
)
from warpline.images.image import Image

BALL = (np.indices((16, 16, 16)) - 7.5).__pow__(2).sum(axis=0) < 36


def test_the_background_is_the_value_of_most_outer_voxels():
    volume = np.where(BALL, 50, 7)
    assert background_value(volume) == 7
    volume[0, :2] = 9  # a fiftieth of the faces
    assert background_value(volume) == 7
    assert background_value(np.random.default_rng(0).normal(size=(8, 8, 8))) is None


def test_axes_of_one_voxel_have_no_faces():
    assert outer_faces(np.zeros((4, 5, 1))).size == 2 * 5 + 2 * 4
    assert outer_faces(np.zeros((1, 1, 1))).size == 1


@pytest.mark.parametrize("lowest", [0.0, -1000.0])
def test_the_foreground_is_what_exceeds_a_tenth_of_the_range(lowest):
    noise = np.random.default_rng(0).uniform(0, 5, BALL.shape)
    image = Image.from_array(np.where(BALL, 100, noise) + lowest)
    assert lowest + 5 < foreground_threshold(image) < lowest + 100
    np.testing.assert_array_equal(foreground_mask(image), BALL)


def test_a_level_without_background_is_foreground_throughout():
    inside = np.ones(BALL.shape, bool)
    inside[0] = False
    low, high = np.float64(0), np.float64(1)
    ball = level_foreground(BALL.astype(np.float32), inside, low, high)
    np.testing.assert_array_equal(ball, BALL & inside)
    full = np.full(BALL.shape, 0.5, np.float32)
    np.testing.assert_array_equal(level_foreground(full, inside, low, high), inside)
