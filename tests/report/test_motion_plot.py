"""The plot of the motion of a series."""

from __future__ import annotations

from xml.dom import minidom

import numpy as np
import pytest

from warpline.report.motion_plot import draw_motion


@pytest.mark.parametrize("count", [1, 2, 50])
def test_every_course_is_drawn(count):
    rng = np.random.default_rng(0)
    displacement = np.concatenate([[np.nan], rng.random(count - 1)])
    text = draw_motion(rng.normal(size=(count, 6)), displacement, 0.5, [0], "motion of <bold>")
    picture = minidom.parseString(text).documentElement
    lines = [line.getAttribute("points").split() for line in picture.getElementsByTagName("polyline")]
    assert sorted(map(len, lines))[-7:] == sorted([count] * 7) or count <= 2
    assert "nan" not in text
    assert picture.getAttribute("viewBox").split()[2:] == [picture.getAttribute(one) for one in ("width", "height")]
    assert picture.getElementsByTagName("title")[0].firstChild.data == "motion of <bold>"


def test_higher_values_are_drawn_higher():
    parameters = np.zeros((3, 6))
    parameters[1, 0] = 2.0
    picture = minidom.parseString(draw_motion(parameters, np.zeros(3), 0.5, [], "motion"))
    first = picture.getElementsByTagName("polyline")[0].getAttribute("points")
    heights = [float(point.split(",")[1]) for point in first.split()]
    assert heights[1] < heights[0] == heights[2]
