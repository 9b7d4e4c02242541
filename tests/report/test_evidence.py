"""In how many reports something holds."""

from __future__ import annotations

import pytest

from made_reports import report_of
from warpline.errors import InputError
from warpline.report.evidence import Evidence


def of(*initial, count):
    return Evidence([report_of() | {"initial": start} for start in initial], count)


def has_start(report):
    return report["initial"]


def test_what_holds_for_all_needs_no_words():
    assert of("a", "b", count=2).where(has_start) == "" and of(None, None, count=2).where(has_start) is None


def test_shares_are_named_where_some_pairs_differ():
    assert of("a", None, None, count=3).where(has_start) == " (in 1 of 3 pairs)"
    assert of("a", None, None, count=900).where(has_start) == " (in 1 of 3 pairs that were looked at)"


def test_inputs_are_found_by_any_of_their_names():
    evidence = of("a", count=1)
    assert evidence.has_input("fixed_mask", "moving") == "" and evidence.has_input("fixed_mask") is None


def test_sections_that_do_not_run_are_empty():
    assert Evidence([report_of("rigid")]).options("syn") == {} and of("a", count=1).options("syn")["radius"] == 2


def test_what_is_no_report_is_refused():
    with pytest.raises(InputError, match="the report has no 'levels'"):
        Evidence([report_of() | {"levels": []}])
