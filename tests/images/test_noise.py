"""How much noise an image has, and more of it added."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import ellipsoid, smooth_volume
from warpline.images.noise import noise_level, with_noise

SHAPES = [(40, 44, 36), (160, 150, 1)]


def shown(shape):
    """Structure in an ellipsoid, background 0 around it."""
    return np.where(ellipsoid(shape, 0.4), 0.5 + 0.5 * smooth_volume(shape, sigma=3.0), 0).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", [0.02, 0.1])
def test_the_noise_of_a_structured_image_is_found(backend, shape, level):
    """Median of n differences: standard error 1.17 / sqrt(n) of sigma, less than 2 % here; structure adds a little."""
    noisy = with_noise(backend.upload(shown(shape)), level, (1, 2), backend)
    assert noise_level(noisy, backend) == pytest.approx(level, rel=0.1)


def test_an_image_without_noise_has_hardly_any(backend):
    assert noise_level(backend.upload(shown((40, 44, 36))), backend) < 0.005
    assert noise_level(backend.zeros((8, 8, 8)), backend) == 0


def test_noise_leaves_the_background_and_repeats(backend):
    clean = shown((20, 22, 18))
    volume = backend.upload(clean)
    first, again, other = (backend.download(with_noise(volume, 0.1, seeds, backend)) for seeds in ((3,), (3,), (4,)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not first[clean == 0].any() and (first != clean)[clean != 0].mean() > 0.99
    assert (first - clean)[clean != 0].std() == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(backend.download(volume), clean)


def test_noise_stays_within_the_range_of_normalised_images(backend):
    noisy = backend.download(with_noise(backend.upload(shown((20, 22, 18))), 10.0, (0,), backend))
    assert noisy.max() == 2.5 and noisy.min() == -2.5
