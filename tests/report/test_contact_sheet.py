"""The layout of pictures."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image as Picture

from warpline.errors import OutputError
from warpline.images import Image
from warpline.report.contact_sheet import ROW_BOXES, ContactSheet
from warpline.report.slices import middle_slices


@pytest.fixture
def sheet():
    slices = middle_slices(Image.from_array(np.ones((20, 24, 18), np.float32)))
    sheet = ContactSheet.blank(("First", "Second"), slices)
    for row in sheet.panels:
        for panel, section in zip(row, slices, strict=True):
            panel.show(np.full(section.voxels.shape[1:], 0.5))
    return sheet


def test_a_picture_lists_where_its_rows_lie(sheet):
    target = io.BytesIO()
    sheet.save(target)
    with Picture.open(target) as picture:
        first, second = json.loads(picture.text[ROW_BOXES])
        assert picture.width == 1600 and picture.height >= second[-1]
    for left, title, top, right, bottom in (first, second):
        assert 0 < left < right < 1600 and title < top < bottom
    assert first[-1] < second[1]


def test_letters_stand_on_every_panel_but_only_in_the_file(sheet):
    target = io.BytesIO()
    sheet.save(target)
    saved, drawn = (np.asarray(picture.convert("L")).astype(int) for picture in (Picture.open(target), sheet.picture))
    for row in sheet.panels:
        for left, top, right, bottom in (panel.box for panel in row):
            lettered = np.abs(saved - drawn)[top:bottom, left:right] > 8
            assert 20 < np.count_nonzero(lettered) < 2000


def test_text_is_put_where_it_is_said_to_be():
    sheet = ContactSheet.blank(("",), middle_slices(Image.from_array(np.ones((8, 9, 10), np.float32))))
    before = np.asarray(sheet.picture).copy()
    left = sheet.write(500, 100, "10 mm", points=10, colour="#ffffff", anchor="rs")
    rows, columns = np.nonzero((np.asarray(sheet.picture) != before).any(axis=2))
    assert abs(columns.min() - left) < 3 and 496 < columns.max() <= 500
    assert abs((rows.min() + rows.max()) / 2 - 100) < 3


def test_a_folder_that_is_missing_is_named(sheet, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        sheet.save(tmp_path / "nowhere" / "picture.png")
