"""Labels from atlases in words."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from made_reports import report_of_labels, report_of_series
from warpline.errors import InputError
from warpline.labelling import FUSIONS, JointOptions
from warpline.report.label_methods import describe_labelling, is_labelling
from warpline.report.references import as_markdown


def test_sentences_are_those_of_what_was_done():
    text = as_markdown([describe_labelling(report_of_labels())])
    assert "The image `t1.nii.gz` was labelled from atlases (2) with warpline 0.1.0, recipe `syn`" in text
    assert "Deformations were found by symmetric diffeomorphic" in text and "fused by majority vote" in text
    assert "the label that has the most weight in linear interpolation" in text
    assert "Atlases whose registration failed (1) were left out." in text and "Wang" not in text
    rigid = describe_labelling(report_of_labels("rigid"))
    assert "Linear registration maximised Mattes" in rigid and "Deformations" not in rigid


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_has_its_words(fusion):
    joint = asdict(JointOptions(patches=3)) if fusion == "joint" else None
    text = describe_labelling(report_of_labels(fusion=fusion, joint=joint))
    assert "Labels were fused by" in text and ("the best 3 patches" in text) == (fusion == "joint")


def test_a_single_atlas_is_not_fused():
    assert "fused" not in describe_labelling(report_of_labels() | {"atlases": [{"used": True}]})


def test_other_reports_are_told_apart():
    assert is_labelling(report_of_labels()) and not is_labelling(report_of_series())
    with pytest.raises(InputError, match="another version"):
        describe_labelling(report_of_labels(recipe="syn", fusion="staple"))
