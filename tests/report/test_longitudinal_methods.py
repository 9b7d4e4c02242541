"""Time points in words."""

from __future__ import annotations

import pytest

from warpline.errors import InputError
from warpline.longitudinal.recipes import recipes_with
from warpline.report.longitudinal_methods import describe_time_points, is_longitudinal
from warpline.report.references import as_markdown


def report_of_points(**further):
    rigid, deformable = (recipe.model_dump(mode="json") for recipe in recipes_with(()))
    return {
        "warpline": "0.1.0", "python": "3.12.1", "versions": {"numpy": "2.1"},
        "backend": {"name": "numba", "device": "CPU"}, "inputs": [{"path": "a.nii"}, {"path": "b.nii"}],
        "options": {"rigid": rigid, "recipe": deformable}, "points": [{"name": "a"}, {"name": "b"}],
        "middle": {"voxel_size": [1.0, 1.0, 1.0]}, "changes": [], "labels": None, **further,
    }  # fmt: skip


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
