"""Results of pairs: records, tables, and tables that are damaged or hostile."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from warpline.cohort.failures import Failure
from warpline.cohort.layout import FAILURES, RESULTS
from warpline.cohort.results import (
    NUMBERS,
    RESULT_COLUMNS,
    Host,
    PairResult,
    judge_results,
    read_results,
    worst_first,
    write_tables,
)
from warpline.errors import InputError


def table(**cells):
    known = {"id": "a", "status": "ok", "verdict": "pass", "sidecar": "s_qc.json", "fixed": "f", "moving": "m"} | cells
    return "\n".join("\t".join(row) for row in (RESULT_COLUMNS, [known.get(n, "n/a") for n in RESULT_COLUMNS])) + "\n"


HOSTILE = {
    "status": table(status="<script>"), "verdict": table(verdict="=1"), "number": table(dice="cmd"),
    "columns": "id\tstatus\na\tok\n", "cells": table() + "a\tb\n", "long": table(reasons="x" * 200_000),
    "binary": "\0" * 50, "empty": "",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_table_is_refused_in_a_line(tmp_path, name):
    (tmp_path / RESULTS).write_text(HOSTILE[name])
    try:
        assert read_results(tmp_path) == []
    except InputError as error:
        assert len(str(error)) < 400
    (tmp_path / RESULTS).write_text(table())
    (tmp_path / FAILURES).write_text("id\tmessage\na\tb\n")
    with pytest.raises(InputError, match=r"failures\.tsv is damaged"):
        read_results(tmp_path)


def results():
    """A pair of each status, with a word in a free column that a table cannot hold as it is."""
    failure = Failure("input_error", "s", "a\tb\nc")
    done = PairResult(
        "0000", "ok", metrics={"seconds": 1.5, "ncc_after": None, "coverage": 0.3}, columns={"note": "=1"}
    )
    return judge_results([
        replace(done, fixed="f", moving="m", sidecar="s_qc.json", recipe="syn"),
        PairResult("0001", "failed", failure=failure, host=Host("node"), fixed="f", moving="m", recipe="syn"),
        PairResult("0002", "excluded", fixed="f", moving="m"),
        PairResult("0003", "todo", fixed="f", moving="m"),
    ])  # fmt: skip


def test_tables_have_a_row_for_every_pair(tmp_path):
    write_tables(tmp_path, results())
    lines = [line.split("\t") for line in (tmp_path / RESULTS).read_text().splitlines()]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [line[1] for line in lines] == ["status", "ok", "failed", "excluded", "todo"]
    assert lines[1][lines[0].index("seconds")] == "1.5" and lines[1][lines[0].index("ncc_after")] == "n/a"
    (failed,) = (tmp_path / FAILURES).read_text().splitlines()[1:]
    assert failed.split("\t") == ["0001", "input_error", "s", "a b c", "node", "logs/0001.json"]


def test_tables_are_read_back_as_results(tmp_path):
    write_tables(tmp_path, results())
    read = read_results(tmp_path)
    assert (
        [one.page_state for one in read] == [one.page_state for one in results()] == ["fail", "error", "todo", "todo"]
    )
    assert read[0].verdict == results()[0].verdict and read[0].flagged == ("coverage",)
    assert {name: value for name, value in read[0].metrics.items() if value is not None} == {
        "seconds": 1.5,
        "coverage": 0.3,
    }
    assert (read[0].columns, read[1].failure.message, read[2].columns) == ({"note": "=1"}, "a b c", {"note": ""})
    (tmp_path / "again").mkdir()
    write_tables(tmp_path / "again", read)
    assert (tmp_path / "again" / RESULTS).read_bytes() == (tmp_path / RESULTS).read_bytes()


def test_verdicts_are_those_of_the_numbers_before_rounding():
    below = PairResult("a", "ok", metrics={"coverage": 0.85 - 1e-9})  # 0.85 in a table, which would pass
    assert [one.page_state for one in judge_results([below])] == ["review"]


def test_a_result_is_the_same_after_a_journal():
    result = replace(results()[0], host=Host("node", 3, None), stat=(1, 2), sizes={"warp": 3}, notes=("x",), key="k")
    read = PairResult.from_record(json.loads(json.dumps(result.as_record())))
    assert dict(read.metrics) == {**dict.fromkeys(NUMBERS), **result.metrics}
    kept = {"metrics": {}, "verdict": None, "fixed": None, "moving": None, "sidecar": None, "columns": {}}
    assert replace(read, **kept) == replace(result, **kept)


def test_the_worst_pairs_come_first():
    assert [one.id for one in worst_first(reversed(results()))] == ["0001", "0000", "0003", "0002"]


def test_a_column_of_the_manifest_may_be_called_like_a_measure(tmp_path):
    write_tables(tmp_path, results())
    lines = (tmp_path / RESULTS).read_text().splitlines()
    more = [lines[0] + "\tseconds", *(f"{line}\tslow" for line in lines[1:])]
    (tmp_path / RESULTS).write_text("\n".join(more) + "\n")
    first = read_results(tmp_path)[0]
    assert first.columns["manifest seconds"] == "slow" and first.metrics["seconds"] == 1.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-40], "damaged; write it anew"),
        (lambda text: text.replace("\t0.3\t", "\tnone\t", 1), "holds 'none' where a number is needed"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, change, message):
    write_tables(tmp_path, results())
    (tmp_path / RESULTS).write_text(change((tmp_path / RESULTS).read_text()))
    with pytest.raises(InputError, match=message):
        read_results(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(InputError, match=r"results\.tsv cannot be read.*output folder of a cohort"):
        read_results(tmp_path)
