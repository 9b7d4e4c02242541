"""Intensities made comparable."""

from __future__ import annotations

import numpy as np

from warpline.labelling.local_contrast import LEAST, box_around, local_contrast

SHAPE = (20, 18, 16)
EVERYWHERE = np.ones(SHAPE, bool)


def test_the_box_is_a_third_of_what_is_labelled():
    open_places = np.zeros((100, 60, 1), bool)
    open_places[5:95, 10:20] = True
    assert box_around(open_places) == (31, LEAST, 1)


def test_shading_brightness_and_contrast_are_taken_out():
    image = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    shading = np.linspace(1, 1.2, SHAPE[0], dtype=np.float32)[:, None, None]
    first, second = (local_contrast(one, EVERYWHERE, (7, 7, 7)) for one in (image, 30 * image * shading + 500))
    assert np.abs(first - second).mean() < 0.05 * np.abs(first).mean()


def test_a_flat_image_has_no_contrast():
    assert not local_contrast(np.full(SHAPE, 7, np.float32), EVERYWHERE, (5, 5, 5)).any()


def test_noise_of_empty_places_stays_small():
    image = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
    image[10:] *= 100
    found = local_contrast(image, np.indices(SHAPE)[0] >= 10, (3, 3, 3))
    assert found[:8].std() < 0.2 < 0.7 < found[12:].std()
