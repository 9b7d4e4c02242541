"""The page of a template."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image as Picture

from warpline.images import Image
from warpline.report.template_page import HEIGHT, PageRound, PageSubject, cuts, template_page


def volume(shape=(20, 24, 16)):
    x, y, z = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    return Image.from_array(np.exp(-(x**2 + y**2 + z**2) / 40).astype(np.float32))


def test_cuts_stand_side_by_side():
    with Picture.open(io.BytesIO(cuts(volume()))) as picture:
        assert picture.height <= HEIGHT and picture.width > 2 * picture.height
    flat = Image.from_array(volume().data[:, :, 8])
    with Picture.open(io.BytesIO(cuts(flat))) as picture:
        assert picture.width < 2 * picture.height


def page(**more):
    picture = cuts(volume())
    rounds = [PageRound(n, "deformable", 2.0, 0.5 / (n + 1), None, 0.1, None, picture) for n in range(2)]
    subjects = [PageSubject("well", 0.9, 1.0, picture), PageSubject("<b>", 0.5, 0.25)]
    return template_page("t", rounds, subjects, final=picture, **more).decode()


def test_the_worst_fit_comes_first_and_text_is_escaped():
    text = page(left_out=[("noise", "does not fit")], facts=["2 subjects"], warnings=["few"])
    assert text.index("&lt;b&gt;") < text.index("well</th>")
    assert "<b>noise</b> is left out: does not fit" in text and "few" in text
    assert "n/a" in text and "polyline" in text


def test_nothing_is_loaded_and_equal_values_give_equal_bytes():
    assert page() == page()
    assert set(re.findall(r'(?:src|href)="([^"]{0,11})', page())) <= {"data:image/", "data:,"}
