"""Means of images and labels."""

from __future__ import annotations

import numpy as np

from warpline.images import Image
from warpline.space.grid import Grid
from warpline.template.averages import change, mirrored_mean, sharpened, sharpness, vote, weighted_mean

GRID = Grid((12, 10, 8), np.diag([2.0, 2.0, 2.0, 1.0]))


def ball(scale=1.0):
    x, y, z = np.indices(GRID.shape) - np.array([5.5, 4.5, 3.5]).reshape(3, 1, 1, 1)
    return (scale * np.exp(-(x**2 + y**2 + z**2) / 10)).astype(np.float32)


def test_brightness_is_brought_together_before_the_mean():
    inside = ball() > 0.3
    found = weighted_mean([(ball(1.0), 1.0), (ball(3.0), 1.0)], GRID, inside)
    assert np.allclose(found.image.data, ball(2.0), rtol=1e-5)
    assert found.residual < 1e-3


def test_weights_count():
    first, second = ball(), ball()[::-1].copy() + ball()
    inside = np.ones(GRID.shape, np.bool_)
    alone = weighted_mean([(first, 1.0)], GRID, inside)
    assert np.allclose(weighted_mean([(first, 1.0), (second, 0.0)], GRID, inside).image.data, alone.image.data)
    assert weighted_mean([(first, 1.0), (np.roll(first, 2, 0), 1.0)], GRID, inside).residual > 0.1


def test_the_mean_with_a_mirror_image_is_symmetric_to_the_bit():
    image = Image(np.random.default_rng(0).random(GRID.shape).astype(np.float32), GRID)
    data = mirrored_mean(image).data
    assert np.array_equal(data, data[::-1])


def test_sharpening_steepens_edges_and_keeps_the_background():
    image = Image(ball(), GRID)
    sharp = sharpened(image, 0.5)
    assert sharpness(sharp) > 1.05 * sharpness(image)
    assert sharp.data.min() >= image.data.min()
    assert np.array_equal(sharpened(image, 0.0).data, image.data)


def test_sharpness_is_relative_to_brightness_per_millimetre():
    wide = Image(ball(), Grid(GRID.shape, np.diag([4.0, 4.0, 4.0, 1.0])))
    assert np.isclose(sharpness(Image(ball(7.0), GRID)), sharpness(Image(ball(), GRID)))
    assert np.isclose(sharpness(wide), sharpness(Image(ball(), GRID)) / 2)


def test_change_is_a_share_of_the_mean():
    assert np.isclose(change(Image(ball(1.1), GRID), Image(ball(), GRID)), 0.1)


def test_labels_are_voted_by_weight_ties_go_to_the_smallest():
    grid = Grid((4, 1, 1), np.eye(4))
    votes = [([1, 1, 7, 0], 1.0), ([2, 1, 5, 0], 0.6), ([2, 3, 9, 3], 0.6)]
    found = vote([(np.array(row, np.int16).reshape(4, 1, 1), weight) for row, weight in votes], grid)
    assert found.data.ravel().tolist() == [2, 1, 7, 0] and found.data.dtype == np.int16
    tie = vote([(np.full((4, 1, 1), label), 1.0) for label in (4, 3)], grid)
    assert tie.data.ravel().tolist() == [3, 3, 3, 3]
