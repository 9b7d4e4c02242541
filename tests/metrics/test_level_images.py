"""Images on the grid of a level are the features of metrics that compare grey values."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import OnLevel, features_of, rough_pair
from warpline.metrics import DEFORMABLE_METRICS
from warpline.metrics.level_images import intensities
from warpline.recipe import Syn


class Halved(OnLevel):
    """An image with twice as many voxels along the first axis as the level."""

    @property
    def shape(self):
        return (self.volume.shape[0] // 2, *self.volume.shape[1:])

    def resampled(self, volume):
        return volume[::2] + volume[1::2]


def test_images_are_resampled_on_the_level(backend):
    (fixed, _), (moving, _) = rough_pair((6, 4, 5)), rough_pair((3, 4, 5), 1)
    sides = Halved(backend.upload(fixed)), OnLevel(backend.upload(moving))
    found = backend.download(intensities(sides, backend))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [fixed[::2] + fixed[1::2], moving])


@pytest.mark.parametrize("name", sorted(DEFORMABLE_METRICS.keys() - {"self_similarity"}))
def test_other_metrics_compare_the_images(backend, name):
    pair = rough_pair((4, 5, 6))
    found = features_of(DEFORMABLE_METRICS[name](Syn()), *pair, backend)
    np.testing.assert_array_equal(backend.download(found), pair)
