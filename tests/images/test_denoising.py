"""Non-local means by DIPY: less noise, edges kept, the same bits on every run."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from warpline.errors import UsageError
from warpline.images import denoising
from warpline.images.denoising import denoise_nlmeans

pytest.importorskip("dipy")


def halves(shape):
    """Two plateaus, and the same with noise."""
    clean = np.full(shape, 100.0)
    clean[tuple(slice(0, n // 2) if n > 4 else slice(None) for n in shape)] = 200
    return clean, clean + np.random.default_rng(0).normal(0, 10, shape)


@pytest.mark.parametrize("shape", [(20, 18, 16), (24, 24, 1), (1, 24, 24), (24, 24, 3), (4, 4, 4)], ids=str)
def test_noise_is_removed_and_edges_stay(shape):
    clean, noisy = halves(shape)
    found = denoise_nlmeans(noisy, np.ones(shape, bool), threads=1)
    assert found.volume.shape == shape and found.volume.dtype == np.float32
    assert np.std(found.volume - clean) < 0.7 * np.std(noisy - clean)


@pytest.mark.parametrize("shape", [(20, 18, 16), (24, 24, 1)], ids=str)
def test_runs_and_threads_give_the_same_bits(shape):
    _, noisy = halves(shape)
    first, *others = (denoise_nlmeans(noisy, np.ones(shape, bool), threads=n).volume for n in (1, 1, 2, 2))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_what_lies_outside_stays():
    _, noisy = halves((16, 16, 16))
    inside = np.zeros(noisy.shape, bool)
    inside[4:12] = True
    found = denoise_nlmeans(noisy, inside, threads=1)
    np.testing.assert_array_equal(found.volume[~inside], noisy.astype(np.float32)[~inside])
    assert (found.volume[inside] != noisy.astype(np.float32)[inside]).mean() > 0.99


def test_values_below_0_are_no_magnitudes():
    _, noisy = halves((12, 12, 12))
    inside = np.ones(noisy.shape, bool)
    assert denoise_nlmeans(noisy, inside, threads=1).rician
    found = denoise_nlmeans(noisy - 150, inside, threads=1)
    assert not found.rician and found.volume.min() < -20


def test_an_image_without_noise_stays():
    image = np.zeros((8, 8, 8))
    found = denoise_nlmeans(image, np.ones(image.shape, bool))
    assert found.sigma == 0
    np.testing.assert_array_equal(found.volume, image)


def test_without_dipy_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dipy.denoise.nlmeans", None)
    with pytest.raises(UsageError, match=r'DIPY, which is not installed; pip install "warpline\[denoise\]"'):
        denoise_nlmeans(np.ones((4, 4, 4)), np.ones((4, 4, 4), bool))


def test_an_old_dipy_is_refused(monkeypatch):
    monkeypatch.setattr(denoising, "version", lambda _: "1.9.0")
    with pytest.raises(UsageError, match=r"DIPY 1\.12 or newer, and 1\.9\.0 is installed"):
        denoise_nlmeans(np.ones((4, 4, 4)), np.ones((4, 4, 4), bool))
