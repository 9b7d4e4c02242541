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
    for row in range(2):
        for column, section in enumerate(slices):
            sheet.show(row, column, np.full(section.voxels.shape[1:], 0.5), cmap="gray", vmin=0, vmax=1)
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


def test_a_folder_that_is_missing_is_named(sheet, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        sheet.save(tmp_path / "nowhere" / "picture.png")
