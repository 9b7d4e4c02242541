"""Whether two images show tissues of similar contrast."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import smooth_volume
from warpline.evaluation.contrast import FEWEST, contrast_of
from warpline.images import Image
from warpline.space.grid import Grid

SHAPE = (24, 22, 20)


def images(mapping, noise=0.1):
    """A textured volume, and its values through `mapping` with noise; everything counts."""
    values = smooth_volume(SHAPE, 3)
    values = (values - values.min()) / np.ptp(values)
    other = mapping(values) + noise * np.random.default_rng(1).normal(size=SHAPE)
    grid = Grid(SHAPE, np.eye(4))
    return [Image(np.asarray(data, np.float32), grid) for data in (values, other, np.ones(SHAPE))]


@pytest.mark.parametrize("mapping", [lambda v: v, lambda v: 5 * v + 100, np.sqrt, np.square, lambda v: 0 * v])
def test_intensities_that_rise_together_are_alike(mapping):
    """Another scale or gamma is the same contrast, and so is nothing that goes together."""
    assert contrast_of(*images(mapping)).is_alike


@pytest.mark.parametrize("mapping", [lambda v: 1 - v, lambda v: abs(v - 0.5), lambda v: np.where(v > 0.6, 0, v)])
def test_inverted_and_folded_intensities_differ(mapping):
    found = contrast_of(*images(mapping, noise=0.02))
    assert not found.is_alike
    assert found.correlation_ratio > 0.8


def test_a_line_and_a_curve_are_told_apart():
    """Along a parabola about the middle of even values, a line explains nothing and a curve nearly all."""
    values = np.linspace(-1, 1, 20_000).reshape(100, 200, 1)
    grid = Grid(values.shape, np.eye(4))
    found = contrast_of(Image(values, grid), Image(values**2, grid), Image(np.ones(values.shape), grid))
    assert found.linear_correlation == pytest.approx(0, abs=1e-9)
    assert found.correlation_ratio == pytest.approx(1, abs=0.005)


def test_no_classes_are_made_of_little():
    first, second, where = images(lambda v: v)
    few = np.zeros(SHAPE)
    few.ravel()[: FEWEST - 1] = 1
    assert contrast_of(first, second, Image(few, where.grid)) is None
    assert contrast_of(first, Image(np.ones(SHAPE), where.grid), where) is None
