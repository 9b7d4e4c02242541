"""A page of a pair shows the place of the pair in its cohort."""

from __future__ import annotations

import json
from dataclasses import replace

from made_reports import page_of, report_of
from warpline.report.cohort_context import CohortContext, Measure
from warpline.report.page import write_cohort_context


def test_a_page_shows_its_context_in_the_cohort(layers, tmp_path):
    measures = (
        Measure("Dice", "", "Mean Dice", "overlap", 0.41, 3.0, flagged=True),
        Measure("Rotation", "°", "Angle", "affine", 4.5, 60.0),
    )
    reasons = ("dice 0.41 is <far> below",)
    context = CohortContext("sub-07", "key", 1200, "review", reasons, measures, "../index.html", next="sub-08.html")
    page = page_of(report_of(), layers, tmp_path, replace(context, source="aging study"))
    title = page.partition("</title>")[0]
    assert '<script src="report.js"></script>' in page and "sub-07" in title and "aging study" in title
    assert "dice 0.41" not in page and "1\u202f200" not in page  # what changes with the cohort stands beside the page
    told = (tmp_path / "report.js").read_text().removeprefix("const STANDING = ").removesuffix(";\n")
    record = json.loads(told)
    assert (record["verdict"], record["reasons"], record["pairs"]) == ("review", list(reasons), 1200)
    assert (record["previous"], record["next"], record["index"]) == (None, "sub-08.html", "../index.html")
    assert [measure["text"] for measure in record["measures"]] == ["0.41", "4.5"]


def test_a_page_stays_when_its_cohort_grows(layers, tmp_path):
    context = CohortContext("a", "key", 3, "pass", (), (), "../index.html")
    page = page_of(report_of(), layers, tmp_path, context)
    write_cohort_context(replace(context, pairs=4, next="b.html"), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert '"pairs":4' in (tmp_path / "report.js").read_text()
    assert page_of(report_of(), layers, tmp_path, replace(context, pairs=4)) == page
