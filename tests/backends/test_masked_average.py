"""Averages over a mask only."""

from __future__ import annotations

import numpy as np

from synthetic import ellipsoid, smooth_volume
from warpline.backends.masked_average import masked_blur

SHAPE, SIGMA = (12, 11, 10), (1.5, 1.0, 0.8)


def blurred(backend, volume, mask):
    uploaded = backend.upload(volume), backend.upload(mask)
    return backend.download(masked_blur(*uploaded, SIGMA, least=1e-3, backend=backend))


def test_a_constant_stays_constant_up_to_the_edge_of_the_mask(backend):
    mask = ellipsoid(SHAPE).astype(np.float32)
    found = blurred(backend, np.full(SHAPE, 3.0, np.float32), mask)
    np.testing.assert_allclose(found[mask > 0], 3.0, rtol=1e-5)


def test_voxels_outside_of_the_mask_do_not_count(backend):
    mask, volume = ellipsoid(SHAPE).astype(np.float32), smooth_volume(SHAPE, 1)
    other = np.where(mask > 0, volume, 1e3).astype(np.float32)
    np.testing.assert_array_equal(blurred(backend, other, mask), blurred(backend, volume, mask))


def test_far_outside_of_the_mask_the_average_is_zero(backend):
    mask = np.zeros((40, 3, 3), np.float32)
    mask[:3] = 1
    found = blurred(backend, np.ones((40, 3, 3), np.float32), mask)
    assert not found[20:].any()


def test_a_full_mask_gives_the_plain_blur(backend):
    volume = smooth_volume(SHAPE, 2)
    plain = backend.download(backend.smooth(backend.upload(volume), SIGMA))
    np.testing.assert_allclose(blurred(backend, volume, np.ones(SHAPE, np.float32)), plain, rtol=1e-5)
