"""Messages as pages show them."""

import pytest

from warpline.report.reasons import cause_first


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
