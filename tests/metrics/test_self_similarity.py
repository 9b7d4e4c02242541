"""Self-similarity compares images of any contrast, and takes faint differences for noise."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import features_of, measure, rough_pair
from synthetic import pair_with_known_map
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import Syn

CONTRASTS = {"inverted": (lambda image: 1 - image, 0.999), "squared": (np.square, 0.8)}
"""Grey values, and how alike forces are to those of equal contrasts."""


def metric(**options):
    return DEFORMABLE_METRICS["self_similarity"](Syn(metric="self_similarity", **options))


def test_features_are_descriptors_of_either_image(backend):
    pair = rough_pair((6, 5, 7))
    found = backend.download(features_of(metric(similarity_floor=0.01), *pair, backend))
    for one, image in zip(found, pair, strict=True):
        described = backend.descriptors.describe(backend.upload(image), floor=0.01)
        np.testing.assert_array_equal(one, backend.download(described))


def test_the_value_is_the_mean_squared_difference(backend):
    pair = rough_pair(seed=2)
    fixed, moving = np.float64(backend.download(features_of(metric(), *pair, backend))) / 127
    expected = np.mean(np.sum((fixed - moving) ** 2, axis=-1))
    assert measure(metric(), *pair, backend)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_forces_point_the_same_way_in_other_contrasts(backend, contrast):
    (fixed, moving, _), (change, least) = pair_with_known_map((24, 22, 20), 3), CONTRASTS[contrast]
    found = [
        measure(metric(similarity_floor=1e-4), fixed, image.astype(np.float32), backend)[1]
        for image in (moving, change(moving))
    ]
    assert np.corrcoef(*(force.ravel() for force in found))[0, 1] > least


def test_differences_far_below_the_floor_are_noise(backend):
    noise = np.random.default_rng(0).normal(0.5, 0.01, (2, 9, 8, 7)).astype(np.float32)
    values = [measure(metric(similarity_floor=floor), *noise, backend)[0] for floor in (1e-6, 0.03)]
    assert values[1] < 1e-3 * values[0]
