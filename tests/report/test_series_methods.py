"""A series in words."""

from __future__ import annotations

import pytest

from made_reports import report_of_points, report_of_series
from warpline.errors import InputError
from warpline.report.references import as_markdown
from warpline.report.series_methods import describe_series, is_series
from warpline.resampling import SPLINES
from warpline.series.freedoms import FREEDOMS


def test_sentences_are_those_of_what_was_done():
    text = as_markdown([describe_series(report_of_series())])
    assert (
        "Motion in the series `bold.nii.gz` (200 volumes of 64 by 60 by 36 voxels) was corrected with warpline" in text
    )
    assert "fitted to the trimmed mean of 16 volumes, through a rigid map" in text and "recipe" not in text
    assert "interpolated once, by cubic splines, through their motion, on voxels of 3 by 3 by 3.5 mm." in text
    assert "0.12 mm on average and 1.8 mm at most (volumes above 0.5 mm: 2)." in text
    assert "Baker S" in text and "Power JD" in text
    for absent in ("mask", "Gradient", "anatomical", "given transforms", "could not be aligned"):
        assert absent not in text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"inputs": {"mask": "m.nii"}}, "inside a given mask"),
        ({"inputs": {"bvecs": "d.bvec"}, "shells": [{"bvalue": 1000}]}, "fitted to references of their shells"),
        ({"inputs": {"bvecs": "d.bvec"}}, "Gradient directions were turned"),
        ({"destination": {"anatomy": {"name": "t1.nii"}, "transforms": ["w.nii"]}}, "to an anatomical image"),
        ({"destination": {"transforms": ["w.nii"]}}, "through their motion and given transforms"),
        ({"outliers": {"not_aligned": [7], "moved": []}}, "Volumes that could not be aligned (1) were"),
    ],
)
def test_what_happened_has_its_sentence(changed, words):
    assert words in describe_series(report_of_series(**changed))


@pytest.mark.parametrize(("name", "table"), [("interpolation", SPLINES), ("model", FREEDOMS)])
def test_every_choice_has_its_words(name, table):
    texts = {describe_series(report_of_series(options=report_of_series()["options"] | {name: key})) for key in table}
    assert len(texts) == len(table)


def test_other_reports_are_told_apart():
    assert is_series(report_of_series()) and not is_series(report_of_points())
    with pytest.raises(InputError, match="another version"):
        describe_series(report_of_series(options={}))


def test_a_single_volume_has_no_displacement():
    assert "Framewise" not in describe_series(report_of_series(series={"shape": [64, 60, 36, 1]}))
