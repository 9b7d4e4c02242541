"""N4 finds a field that was put in, histograms become those of another image; ANTsPy's are in tests/ants."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from synthetic import ellipsoid, smooth_volume
from warpline.errors import InputError, UsageError
from warpline.images.itk_filters import match_histogram, n4_bias_field

SHAPE = (32, 30, 28)
INSIDE = ellipsoid(SHAPE, 0.42)


def shading(shape):
    """A smooth field from about 0.6 to 1.6."""
    i, j, k = (2 * index / max(n - 1, 1) - 1 for index, n in zip(np.indices(shape), shape, strict=True))
    return np.exp(0.4 * i - 0.2 * j * k + 0.15 * j)


def tissue(shape=SHAPE):
    """Three grey values in small patches, everywhere."""
    return 60.0 + 40 * np.digitize(smooth_volume(shape, 3, sigma=1.5), [0.45, 0.55])


def uneven(corrected, true, inside):
    """Coefficient of variation of what is left of a field inside a mask."""
    left = corrected[inside] / true[inside]
    return np.std(left) / np.mean(left)


@pytest.mark.parametrize("shape", [SHAPE, (32, 30, 1), (1, 32, 30), (32, 30, 3)], ids=str)
def test_a_smooth_field_is_found(shape):
    inside = ellipsoid(shape, 0.42)
    image = tissue(shape) * shading(shape)
    field = n4_bias_field(image, inside, shrink=2, threads=1)
    assert field.shape == shape and field.dtype == np.float32
    assert uneven(image / field, tissue(shape), inside) < 0.35 * uneven(image, tissue(shape), inside)


def test_the_number_of_threads_does_not_matter():
    image = tissue() * shading(SHAPE)
    one, two = (n4_bias_field(image, INSIDE, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_every_iteration_is_told():
    told = []
    field = n4_bias_field(tissue() * shading(SHAPE), INSIDE, threads=1, progress=lambda *step: told.append(step))
    np.testing.assert_array_equal(field, n4_bias_field(tissue() * shading(SHAPE), INSIDE, threads=1))
    levels = [[step for step in told if step[0] == level] for level in range(4)]
    assert all([iteration for _, iteration, _ in level] == list(range(len(level))) for level in levels if level)
    assert levels[0] and levels[3] and 0 < levels[3][-1][2] < levels[0][0][2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_is_raised_meanwhile_ends_it(error):
    def interrupted(*step):
        raise error

    with pytest.raises(error):
        n4_bias_field(tissue() * shading(SHAPE), INSIDE, threads=1, progress=interrupted)


@pytest.mark.parametrize(("shape", "marked"), [((32, 1, 1), True), (SHAPE, False)])
def test_an_image_without_a_field_is_refused(shape, marked):
    with pytest.raises(InputError, match=r"has no bias field in \d+ voxels; N4 needs two axes"):
        n4_bias_field(np.ones(shape), np.full(shape, marked))


def test_histograms_become_alike():
    reference, source = 100 * smooth_volume(SHAPE, 1), (30 * smooth_volume((20, 21, 22), 2)) ** 1.2
    matched = match_histogram(source, reference, above_mean=False)
    assert matched.shape == source.shape
    quantiles = np.linspace(0.1, 0.9, 9)
    bin_width, expected = np.ptp(reference) / 256, np.quantile(reference, quantiles)
    assert np.abs(np.quantile(matched, quantiles) - expected).max() < 2 * bin_width
    assert np.abs(np.quantile(source, quantiles) - expected).max() > 20 * bin_width


def test_without_simpleitk_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(
        UsageError, match=r'N4 .* done by SimpleITK, which is not installed; pip install "warpline\[itk'
    ):
        n4_bias_field(np.ones(SHAPE), INSIDE)
    with pytest.raises(UsageError, match="histogram matching is done by SimpleITK"):
        match_histogram(np.ones(SHAPE), np.ones(SHAPE))
