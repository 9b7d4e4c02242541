"""Time points in words."""

from __future__ import annotations

import pytest

from made_reports import report_of_points
from warpline.errors import InputError
from warpline.report.longitudinal_methods import describe_time_points, is_longitudinal
from warpline.report.references import as_markdown


def test_sentences_are_those_of_what_was_done():
    text = as_markdown([describe_time_points(report_of_points())])
    assert "The 2 time points `a`, `b`" in text and "squared difference" in text and "Reuter" in text
    assert "masks" not in text and "labels" not in text
    inputs = [{"path": "a.nii", "mask": {"path": "m.nii"}}, {"path": "b.nii", "mask": {"path": "m.nii"}}]
    more = describe_time_points(report_of_points(inputs=inputs, labels={"of": "b"}))
    assert "given masks" in more and "labels of `b`" in more


def test_other_reports_are_told_apart():
    assert is_longitudinal(report_of_points())
    assert not is_longitudinal({"recipe": {}, "levels": []})
    with pytest.raises(InputError, match="another version"):
        describe_time_points(report_of_points(options={}))
