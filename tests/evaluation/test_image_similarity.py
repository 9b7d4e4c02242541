from __future__ import annotations

import numpy as np
import pytest

from warpline.backends import select
from warpline.evaluation import similarity
from warpline.evaluation.image_similarity import measure_similarity
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.resampling import resample
from warpline.space.grid import Grid


def test_similarity_compares_headers_with_the_result(phantom):
    backend = select("numpy")
    found = measure_similarity(phantom.fixed, phantom.moving, phantom.fixed, backend=backend)["similarity"]
    by_headers = resample(phantom.moving, like=phantom.fixed, backend=backend)
    inside = Image(foreground_mask(phantom.fixed), phantom.fixed.grid)
    expected = similarity(phantom.fixed, by_headers, inside, backend=backend)
    assert found["before"] == {"ncc": expected.ncc, "local_ncc": expected.local_ncc}
    assert found["after"]["ncc"] == pytest.approx(1)
    assert found["after"]["local_ncc"] > found["before"]["local_ncc"]


def test_similarity_needs_no_positive_intensities(phantom):
    shifted = Image(phantom.fixed.data - np.float32(5000), phantom.fixed.grid)
    found = measure_similarity(shifted, shifted, shifted, backend=select("numpy"))["similarity"]
    assert found["after"]["ncc"] == pytest.approx(1, abs=1e-3)


def test_similarity_counts_negative_mask_values(phantom):
    mask = Image(-(phantom.fixed_labels.data > 0).astype(np.int8), phantom.fixed.grid)
    found = measure_similarity(phantom.fixed, phantom.moving, phantom.fixed, mask, backend=select("numpy"))[
        "similarity"
    ]
    assert found["after"]["ncc"] == pytest.approx(1)


def ball(centre, values=(0, 1), soft=0.0):
    distance = np.linalg.norm(np.indices((40, 40, 40)).T - np.array(centre), axis=-1).T
    inside = np.clip((10 - distance) / max(soft, 1e-6) + 0.5, 0, 1)
    return Image((values[0] + (values[1] - values[0]) * inside).astype(np.float32), Grid((40, 40, 40), np.eye(4)))


@pytest.mark.parametrize("values", [(0, 1), (-1000, 255)])
@pytest.mark.parametrize("soft", [0.0, 2.0])
def test_masks_are_compared_with_their_surroundings(values, soft):
    fixed, moving = ball((20, 20, 20), values, soft), ball((26, 20, 20), values, soft)
    found = measure_similarity(fixed, moving, fixed, backend=select("numpy"))["similarity"]
    assert found["after"]["ncc"] > 0.999 and found["after"]["local_ncc"] > 0.98
    assert 0.3 < found["before"]["ncc"] < 0.7 and found["before"]["local_ncc"] < 0.5


def test_an_image_and_a_mask_are_compared_by_their_shapes():
    mask = ball((20, 20, 20))
    noise = np.random.default_rng(0).normal(100, 5, mask.data.shape).astype(np.float32)
    image = Image(mask.data * noise, mask.grid)
    away = Image(np.roll(mask.data, 6, axis=0), mask.grid)
    found = measure_similarity(image, away, mask, backend=select("numpy"))["similarity"]
    assert found["after"]["ncc"] > 0.98 > 0.7 > found["before"]["ncc"]


def test_labels_are_compared_by_their_shapes():
    labels = Image((ball((20, 20, 20)).data + ball((20, 24, 20)).data * 3).astype(np.int16), ball((0, 0, 0)).grid)
    away = Image(np.roll(labels.data, 5, 2), labels.grid)
    found = measure_similarity(labels, away, labels, backend=select("numpy"))["similarity"]
    assert found["after"] == pytest.approx({"ncc": 1, "local_ncc": 1}, abs=0.01)
    assert found["before"]["ncc"] < 0.8
