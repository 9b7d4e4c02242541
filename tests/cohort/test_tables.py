"""Tables: cells that a spreadsheet would run are marked as text, and files that never end are refused."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpline.cohort.bids import Filter
from warpline.cohort.decisions import read_decisions
from warpline.cohort.layout import RESULTS
from warpline.cohort.manifest import read_manifest
from warpline.cohort.results import read_results
from warpline.cohort.tables import escape, unescape
from warpline.errors import InputError

FORMULAS = ("=1+1", "=cmd|'/c calc'!A0", "@SUM(A1)", "+1+1", "-1+1", "-", "＝1", "'=1")  # noqa: RUF001


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_marked(text):
    assert escape(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "n/a", "-3.5", "+1e-9", "-.5", "sub-01", "a=b", "'quoted'"])
def test_numbers_and_words_stay(text):
    assert escape(text) == text


@given(st.text() | st.sampled_from(FORMULAS))
def test_what_was_written_comes_back(text):
    assert unescape(escape(text)) == text


READERS_OF_TABLES = {
    "m.tsv": read_manifest, "d.tsv": lambda path: read_decisions(path, ("fail",)),
    "f.json": lambda path: Filter.of("T1w", {}, path), RESULTS: lambda path: read_results(path.parent),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS_OF_TABLES)
def test_what_never_ends_is_no_table(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="it is no regular file"):
        READERS_OF_TABLES[name](tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(InputError, match="it is no regular file"):
        READERS_OF_TABLES[name](tmp_path / name)
