"""Whether two images show tissues in like shades."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import smooth_volume
from warpline.evaluation.contrast import FEWEST, contrast_of
from warpline.images import Image
from warpline.space.grid import Grid

SHAPE = (24, 22, 20)


def images(shades, noise=0.1):
    """A textured volume, and its values through `shades` with noise; everything counts."""
    values = smooth_volume(SHAPE, 3)
    values = (values - values.min()) / np.ptp(values)
    other = shades(values) + noise * np.random.default_rng(1).normal(size=SHAPE)
    grid = Grid(SHAPE, np.eye(4))
    return [Image(np.asarray(data, np.float32), grid) for data in (values, other, np.ones(SHAPE))]


@pytest.mark.parametrize("shades", [lambda v: v, lambda v: 5 * v + 100, np.sqrt, np.square, lambda v: 0 * v])
def test_rising_shades_are_alike(shades):
    """Another scale or gamma is the same contrast, and so is nothing that goes together."""
    assert contrast_of(*images(shades)).is_alike


@pytest.mark.parametrize("shades", [lambda v: 1 - v, lambda v: abs(v - 0.5), lambda v: np.where(v > 0.6, 0, v)])
def test_turned_and_bent_shades_differ(shades):
    found = contrast_of(*images(shades, noise=0.02))
    assert not found.is_alike
    assert found.curve > 0.8


def test_a_line_and_a_curve_are_told_apart():
    """Along a parabola about the middle of even values, a line explains nothing and a curve nearly all."""
    values = np.linspace(-1, 1, 20_000).reshape(100, 200, 1)
    grid = Grid(values.shape, np.eye(4))
    found = contrast_of(Image(values, grid), Image(values**2, grid), Image(np.ones(values.shape), grid))
    assert found.line == pytest.approx(0, abs=1e-9)
    assert found.curve == pytest.approx(1, abs=0.005)


def test_no_classes_are_made_of_little():
    first, second, where = images(lambda v: v)
    few = np.zeros(SHAPE)
    few.ravel()[: FEWEST - 1] = 1
    assert contrast_of(first, second, Image(few, where.grid)) is None
    assert contrast_of(first, Image(np.ones(SHAPE), where.grid), where) is None
