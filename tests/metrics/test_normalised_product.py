"""Local normalisation, and correlation maps."""

from __future__ import annotations

import numpy as np

from synthetic import smooth_volume
from warpline.metrics.normalised_product import correlation_map, normalise_locally


def test_local_normalisation_ignores_brightness_and_contrast(backend):
    shape, sigma = (30, 28, 26), (2.0, 2.0, 2.0)
    volume = smooth_volume(shape, 4, sigma=1.0)
    bias = 1 + np.indices(shape)[0] / 60
    brighter = (3 * volume * bias + 7).astype(np.float32)
    plain, changed = (
        normalise_locally(backend.upload(image), sigma, float(image.std()), backend=backend)
        for image in (volume, brighter)
    )
    agreement, itself = (
        backend.download(correlation_map(plain, other, sigma, backend))[4:-4, 4:-4, 4:-4] for other in (changed, plain)
    )
    assert np.abs(agreement - itself).mean() < 0.05 * itself.mean()


def test_local_normalisation_sees_nothing_beyond_the_mask(backend):
    shape, sigma = (20, 18, 16), (2.0, 2.0, 2.0)
    volume = smooth_volume(shape, 6, sigma=1.0)
    mask = (np.indices(shape)[0] < 12).astype(np.uint8)
    volume[12:] += (volume[mask > 0].mean() - volume.mean()) * volume.size / volume[12:].size  # the mean is that within
    shuffled = volume.copy()
    shuffled[12:] = np.random.default_rng(7).permutation(volume[12:].ravel()).reshape(volume[12:].shape)
    one, other = (
        backend.download(normalise_locally(backend.upload(v), sigma, 0.2, backend=backend, mask=backend.upload(mask)))
        for v in (volume, shuffled)
    )
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert not one[12:].any()
    assert one[:12].any()
