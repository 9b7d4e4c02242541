"""Cells that a spreadsheet would run are marked as text, and read back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpline.cohort.cells import original, safe
from warpline.cohort.decisions import read_decisions
from warpline.cohort.manifest import Pair, read_manifest, write_manifest

FORMULAS = ("=1+1", "=cmd|'/c calc'!A0", "@SUM(A1)", "+1+1", "-1+1", "-", "＝1", "'=1")  # noqa: RUF001


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_marked(text):
    assert safe(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "n/a", "-3.5", "+1e-9", "-.5", "sub-01", "a=b", "'quoted'"])
def test_numbers_and_words_stay(text):
    assert safe(text) == text


@given(st.text() | st.sampled_from(FORMULAS))
def test_what_was_written_comes_back(text):
    assert original(safe(text)) == text


def test_a_manifest_keeps_them(tmp_path):
    pair = Pair("=sub-1", f"{tmp_path}/a.nii", f"{tmp_path}/f.nii", columns={"note": "=1+1", "@x": "-2"})
    write_manifest([pair], tmp_path / "m.tsv")
    assert (tmp_path / "m.tsv").read_text().splitlines()[1].split("\t")[0] == "'=sub-1"
    assert "\t'=1+1" in (tmp_path / "m.tsv").read_text() and "\t'@x" in (tmp_path / "m.tsv").read_text()
    assert read_manifest(tmp_path / "m.tsv") == [pair]


def test_decisions_find_the_pair_again(tmp_path):
    (tmp_path / "d.tsv").write_text("id\tdecision\tnote\n'=sub-1\tfail\t'=1\n")
    assert read_decisions(tmp_path / "d.tsv", ("fail",)) == ["=sub-1"]
