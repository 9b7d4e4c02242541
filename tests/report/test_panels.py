"""What a panel shows of a slice, and where."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Picture

from warpline.report.colour_ramps import MAGMA, SHRINKS_GROWS, bytes_of, coloured
from warpline.report.panels import Panel

BOX = 10, 20, 211, 121
ACROSS, DOWN = np.meshgrid(np.linspace(0, 1, 21, dtype=np.float32), np.linspace(0, 1, 11, dtype=np.float32))


@pytest.fixture
def panel():
    return Panel(Picture.new("RGB", (230, 140)), BOX)


def seen(panel):
    """Pixels in the box (H, W, 3); all others are black."""
    pixels = np.asarray(panel.picture).astype(int)
    left, top, right, bottom = panel.box
    inside = pixels[top:bottom, left:right].copy()
    pixels[top:bottom, left:right] = 0
    assert not pixels.any()
    return inside


@pytest.mark.parametrize(("slope", "axis"), [(ACROSS, 1), (DOWN, 0)])
def test_the_outermost_pixels_lie_on_the_edges_of_the_box(panel, slope, axis):
    panel.show(slope)
    shades = seen(panel)[..., 0]
    line = np.linspace(0, 255, shades.shape[axis])
    expected = line if axis else line[:, None]
    inner = (slice(12, -12), slice(12, -12))
    assert np.abs(shades - expected)[inner].max() <= 2
    assert np.abs(shades - expected).max() <= 8  # the spline flattens a slope in the outermost voxel


def test_colours_are_shown_in_colour(panel):
    panel.show(np.stack((ACROSS, DOWN, 0 * DOWN), axis=-1))
    red, green, blue = np.moveaxis(seen(panel), -1, 0)
    assert not blue.any()
    assert red[50, 190] > 230 > 30 > red[50, 10] and green[95, 100] > 230 > 30 > green[5, 100]


@pytest.mark.parametrize("ramp", [MAGMA, SHRINKS_GROWS])
def test_values_are_coloured_by_the_ramp_inside_the_body(panel, ramp):
    panel.show_coloured(ACROSS, ramp, (DOWN < 0.55).astype(np.float32))
    shown = seen(panel)
    expected = bytes_of(coloured(np.linspace(0, 1, shown.shape[1]), ramp)).astype(int)
    assert np.abs(shown[20] - expected)[12:-12].max() <= 6
    assert not shown[80:].any()


@pytest.mark.parametrize(("values", "axis"), [(ACROSS, 1), (DOWN, 0)])
def test_a_line_lies_where_the_values_equal_its_level(panel, values, axis):
    panel.draw_lines(values, (0.25,), "#ffffff", width=2.0)
    covered = seen(panel)[..., 0].mean(axis=1 - axis) / 255
    place = float(covered @ np.arange(covered.size) / covered.sum())
    assert abs(place - 0.25 * (covered.size - 1)) < 0.6
    assert 1.5 < covered.sum() < 2.6


def test_the_opacity_of_a_line_is_a_share_of_its_colour(panel):
    panel.draw_lines(ACROSS, (0.5,), "#ff8000", width=3.0, opacity=0.5)
    assert np.abs(seen(panel)[50].max(axis=0) - (127.5, 64, 0)).max() <= 1


def test_slices_without_detail_have_no_lines(panel):
    panel.draw_lines(0 * ACROSS, (0.25, 0.5), "#ffffff", width=2.0)
    assert not seen(panel).any()
