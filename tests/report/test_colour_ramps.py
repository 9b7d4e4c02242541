"""Colours of values, and how they are stored."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from warpline.report.colour_ramps import HEAT, MAGMA, SHRINKS_GROWS, bytes_of, coloured


@pytest.mark.parametrize("ramp", [MAGMA, HEAT, SHRINKS_GROWS])
def test_colours_are_those_of_the_ramp_at_its_places(ramp):
    expected = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in ramp]
    found = coloured(np.linspace(0, 1, len(ramp)), ramp) * 255
    np.testing.assert_allclose(found, expected, atol=1)  # 1024 steps


def test_values_beyond_the_ramp_have_the_colours_of_its_ends():
    np.testing.assert_array_equal(coloured(np.array([-3.0, 4.0]), HEAT), coloured(np.array([0.0, 1.0]), HEAT))


def test_magma_is_that_of_matplotlib():
    expected = np.array(matplotlib.colormaps["magma"].colors)
    assert np.abs(coloured(np.linspace(0, 1, 256), MAGMA) - expected).max() < 3 / 255


def test_shades_are_rounded_and_clipped_when_stored():
    np.testing.assert_array_equal(bytes_of(np.array([-1.0, 0.0, 0.501, 1.0, 2.0])), [0, 0, 128, 255, 255])
    stored = np.arange(3, dtype=np.uint8)
    assert bytes_of(stored) is stored
