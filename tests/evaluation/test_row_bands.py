"""The part of a large image on which it is measured."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import smooth_volume
from warpline.backends import select
from warpline.evaluation import row_bands
from warpline.evaluation.image_similarity import measure_similarity
from warpline.evaluation.measures import WINDOW_RADIUS
from warpline.evaluation.row_bands import MIN_ROWS, RowBands
from warpline.images import Image
from warpline.space.grid import Grid

SHAPE = (300, 260, 1)
GRID = Grid(SHAPE, np.diag([0.5, 0.5, 1, 1]))


@pytest.fixture
def small(monkeypatch):
    """Sections of more than 20,000 pixels count as large."""
    monkeypatch.setattr(row_bands, "MAX_SECTION", 20_000)


def section(seed):
    """Tissue with a texture as fine as a few pixels on a background of 0, which takes a sixth of the rows."""
    rng = np.random.default_rng(seed)
    fine = smooth_volume(SHAPE, 1) + 0.1 * rng.normal(size=SHAPE)
    data = np.zeros(SHAPE, np.float32)
    data[30:280, 20:240] = 2 + fine[30:280, 20:240]
    return Image(data, GRID)


def test_an_ordinary_volume_is_measured_as_a_whole():
    where = Image(np.ones((256, 256, 160), bool), Grid((256, 256, 160), np.eye(4)))
    whole = RowBands.of(where)
    assert whole.is_whole
    assert whole.share == 1
    assert whole.image(where) is where
    assert whole.mask(where) is where


def test_bands_hold_the_share_they_say(small):
    image = section(1)
    found = RowBands.of(Image(image.data > 0, GRID))
    rows = [row for band in found.bands for row in range(*band)]
    assert all(stop - start >= MIN_ROWS for start, stop in found.bands)
    assert len(found.bands) > 5
    assert found.share == pytest.approx(20_000 / (250 * 220))
    assert len(rows) / 250 == pytest.approx(found.share, abs=0.04)
    assert len(rows) * 220 <= 20_000
    assert min(rows) >= 30
    assert max(rows) < 280
    inner = found.mask(Image(np.ones(SHAPE, np.uint8), GRID)).data[:, 0, 0] == 1
    np.testing.assert_array_equal(found.image(image).data[inner], image.data[rows])


def test_small_windows_see_one_band_only(small):
    found = RowBands.of(Image(section(1).data > 0, GRID))
    marked = np.flatnonzero(found.mask(Image(np.ones(SHAPE, np.uint8), GRID)).data[:, 0, 0])
    steps = np.diff(marked)
    assert marked[0] == WINDOW_RADIUS
    np.testing.assert_array_equal(steps[steps > 1], [2 * WINDOW_RADIUS + 1] * (len(found.bands) - 1))


def test_an_object_that_bands_would_miss_is_measured_as_a_whole(small):
    sparse = np.zeros(SHAPE, np.uint8)
    sparse[0], sparse[-1] = 1, 1
    assert RowBands.of(Image(sparse, GRID)).is_whole


def test_a_large_section_is_measured_in_part_and_nearly_alike(monkeypatch):
    """Both at the place that the headers give and after; the moving image lies on a grid of its own."""
    fixed, warped, backend = section(1), section(2), select("numba", threads=1)
    shifted = GRID.affine.copy()
    shifted[:2, 3] = 3.3, -1.7
    moving = Image(section(3).data, Grid(SHAPE, shifted))
    whole = measure_similarity(fixed, moving, warped, backend=backend)
    monkeypatch.setattr(row_bands, "MAX_SECTION", 20_000)
    part = measure_similarity(fixed, moving, warped, backend=backend)
    assert whole["measured"] == 1
    assert part["measured"] == pytest.approx(0.364, abs=0.001)
    for when in ("before", "after"):
        for name, value in whole["similarity"][when].items():
            assert part["similarity"][when][name] == pytest.approx(value, abs=0.04)
    assert part["similarity"]["after"] != whole["similarity"]["after"]


def test_large_masks_are_measured_in_part_by_their_shapes(small):
    distance = np.linalg.norm(np.stack(np.indices(SHAPE[:2]), -1) - (150, 130), axis=-1)[..., None]
    disc = Image((distance < 90).astype(np.uint8), GRID)
    away = Image(np.roll(disc.data, 12, 0), GRID)
    found = measure_similarity(disc, away, disc, backend=select("numba", threads=1))
    assert found["measured"] < 1
    assert found["contrast"] is None
    assert found["similarity"]["after"] == pytest.approx({"ncc": 1, "local_ncc": 1}, abs=1e-3)
    assert found["similarity"]["before"]["ncc"] < 0.95
    assert found["similarity"]["before"]["local_ncc"] < 0.5
