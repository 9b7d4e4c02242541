"""The page of a series."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Picture

from made_series import grid, seen_through
from warpline.images import Image
from warpline.report.series_page import draw_rows, series_page

REPORT = {
    "warpline": "1", "inputs": {"series": "a<b.nii"}, "warnings": ["look & see"], "seconds": {"fit": 1.0},
    "outliers": {"not_aligned": [3], "moved": [1, 2]}, "series": {"shape": [4, 4, 4, 9]}, "reference": "volume 0",
    "options": {"fd_threshold": 0.5, "model": "rigid"}, "backend": {"name": "numpy"}, "destination": {},
    "motion": dict.fromkeys(
        ("largest_shift", "largest_angle", "mean_framewise_displacement", "largest_framewise_displacement"), 1.0
    ),
    "shells": [{"b": 1000, "volumes": 6, "reference": "volume 2", "judgement": "doubtful"}],
}  # fmt: skip


def test_texts_are_escaped_and_counts_named():
    page = series_page(REPORT, b"picture", "<svg></svg>")
    assert "a&lt;b.nii" in page
    assert "look &amp; see" in page
    assert "1 of 9 volumes not aligned" in page
    assert "2 above 0.5 mm" in page
    assert "b = 1000" in page
    assert "<svg></svg>" in page


@pytest.mark.parametrize("shape", [(22, 24, 18), (22, 24, 1), (22, 1, 1)])
def test_a_row_is_drawn_for_each_image(shape):
    where = grid(shape)
    image = Image(seen_through(where, np.eye(4)), where)
    one, two = (draw_rows(image, [(images, image)]) for images in ({"a": image}, {"a": image, "b": image}))
    sizes = [Picture.open(io.BytesIO(content)).size for content in (one, two)]
    assert sizes[0][0] == sizes[1][0] == 1600
    assert sizes[0] != sizes[1]
