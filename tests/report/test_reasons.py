"""Messages as pages show them."""

import pytest

from made_reports import preparation_steps
from warpline.report.reasons import cause_first, preparation_in_words


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("/data/x y.nii does not exist", "/data/x y.nii does not exist"[8:] + " (x)"),
        ("/data/a/sub-01.nii.gz is truncated; copy it again", "is truncated; copy it again (sub-01.nii.gz)"),
        ("brain.mgz: no image", "no image (brain.mgz)"),
        ("took longer than 3 s", "took longer than 3 s"),
        ("dice 0.41 is far below", "dice 0.41 is far below"),
    ],
)
def test_what_is_wrong_stands_before_the_path(message, shown):
    assert cause_first(message) == shown


def test_preparation_is_said_image_by_image():
    words = preparation_in_words(preparation_steps())
    assert words == "fixed by n4 (SimpleITK 2.5.7), winsorise; moving 2 by n4 (SimpleITK 2.5.7)"
