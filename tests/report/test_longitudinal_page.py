"""The page of time points."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Picture

from made_series import grid, seen_through
from warpline.images import Image
from warpline.report.longitudinal_page import draw_changes, draw_point, longitudinal_page

QUALITY = {"folded_voxels": 2, "inverse_error_mean": 0.01}
CHANGE = {
    "from": "a<b", "to": "c", "years": None, "object_growth_percent": 1.0, "object_growth_percent_per_year": None,
    "log_jacobian": {"p01": -0.1, "median": 0.0, "p99": 0.1},
}  # fmt: skip
GROWN = {"label": 4, "from": "a<b", "to": "c", "volume_from": 9.0, "volume_to": 10.0, "growth_percent": 11.1,
         "growth_percent_per_year": None}  # fmt: skip
REPORT = {
    "warpline": "1", "warnings": ["look & see"], "seconds": {"rigid": 1.0}, "backend": {"name": "numpy"},
    "middle": {"shape": [4, 4, 4], "voxel_size": [1.0, 1.0, 1.0]}, "changes": [CHANGE],
    "points": [
        {"name": name, "correlation": 0.99, "brightness_factor": 1.0, "quality": QUALITY} for name in ("a<b", "c")
    ],
    "pairs": [{"names": ["a<b", "c"], "rigid_judgement": "failed", "judgement": "fine", "rigid_disagreement": 6.0,
               "change_disagreement": 0.1}],
    "labels": {"of": "c", "unit": "mm3", "growth": [GROWN]},
}  # fmt: skip


def test_texts_are_escaped_and_numbers_shown():
    page = longitudinal_page(REPORT, (b"picture", 0.2), [b"one", b"two"])
    assert "a&lt;b" in page and "look &amp; see" in page
    assert "1 of 1 pairs failed" in page and "4 folded voxels" in page
    assert "Growth of labels of c" in page and "11.1" in page
    assert "Growth of labels" not in longitudinal_page({**REPORT, "labels": None}, (b"", 0.2), [b"one", b"two"])


@pytest.mark.parametrize("shape", [(22, 24, 18), (22, 24, 1)])
def test_changes_are_drawn_over_the_middle(shape):
    where = grid(shape)
    middle = Image(seen_through(where, np.eye(4)), where)
    change = np.zeros(shape, np.float32)
    change[:11] = 0.3
    folded = np.where(np.arange(shape[1])[:, None] < 8, np.float32(np.nan), change)
    (drawn, fullest), (still, _), (ringed, _) = (
        draw_changes(middle, {"change": Image(data, where)}) for data in (change, 0 * change, folded)
    )
    colours = [np.asarray(Picture.open(io.BytesIO(one)).convert("RGB"), int) for one in (drawn, still, ringed)]
    spread = [float(np.ptp(one, axis=2).mean()) for one in colours]
    assert spread[0] > spread[1] and fullest == pytest.approx(0.5)
    yellow = [((one[..., 0] > 200) & (one[..., 1] > 200) & (one[..., 2] < 100)).sum() for one in colours]
    assert yellow[2] > yellow[0]


def test_a_point_shows_what_it_differs_by():
    where = grid((22, 24, 18))
    middle = Image(seen_through(where, np.eye(4)), where)
    brighter = Image(middle.data * np.float32(1.2), where)
    same, other = (draw_point(middle, brighter, middle, factor) for factor in (1 / 1.2, 1.0))
    heights = [Picture.open(io.BytesIO(one)).size[1] for one in (same, other)]
    assert heights[0] == heights[1] and same != other
