"""A template in words."""

from __future__ import annotations

import pytest

from made_reports import report_of_labels, report_of_template
from warpline.errors import InputError
from warpline.report.references import as_markdown
from warpline.report.template_methods import describe_template, is_template


def test_sentences_are_those_of_what_was_done():
    text = as_markdown([describe_template(report_of_template())])
    assert "A template of 3 subjects was built with warpline 0.1.0, on its numba backend (CPU)" in text
    assert "in 2 rounds of registration to the mean before, on voxels of 4 to 1 mm." in text
    assert "Deformations were found by symmetric diffeomorphic" in text
    assert "all affines (Arsigny et al., 2006) and the weighted mean of displacements, was taken out" in text
    assert "Guimond A, Meunier J, Thirion JP" in text
    for absent in ("symmetric.", "sharpened", "channels", "left out", "still moved"):
        assert absent not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"symmetric": True}, "averaged with their mirror images"),
        ({"sharpen": 0.25}, "unsharp masking (0.25)"),
        ({"channels": ["T2w"]}, "by the same maps: T2w."),
        ({"step": 0.5}, "a step of 0.5 at a time, out of"),
        ({"recipe": {**report_of_template()["options"]["recipe"], "syn": None}}, "all affines [@arsigny], was taken"),
    ],
)
def test_every_option_has_its_words(options, words):
    assert words in describe_template(report_of_template(**options))


def test_velocities_are_averaged_as_such():
    recipe = report_of_template()["options"]["recipe"]
    given = {**recipe, "syn": {**recipe["syn"], "model": "velocity"}}
    assert "the exponential of the mean velocity field" in describe_template(report_of_template(recipe=given))


def test_who_was_left_out_is_named():
    left_out = [{"id": "07", "reason": "left and right are exchanged"}]
    text = describe_template(report_of_template() | {"left_out": left_out, "settled": False})
    assert "Subjects left out (1): 07, left and right are exchanged." in text and "still moved" in text


def test_other_reports_are_told_apart():
    assert is_template(report_of_template()) and not is_template(report_of_labels())
    with pytest.raises(InputError, match="another version"):
        describe_template(report_of_template() | {"software": {}})
