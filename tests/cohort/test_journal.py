"""Journals of workers and of runs: what survives a kill, and damaged lines."""

from __future__ import annotations

import json

import pytest

from warpline.cohort.journal import Journal, JournalReader, read_journals
from warpline.cohort.json_files import parse_object
from warpline.cohort.plan import read_sidecar
from warpline.cohort.results import PairResult

GOOD = {"id": "a", "key": "k", "recipe": "syn", "status": "ok", "seconds": {"read": 1.0}, "metrics": {"dice": 0.5}}


DAMAGED = [
    b"5", b"[1]", b'"text"', b"null", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b'{"id": [1]}',
    *(json.dumps({**GOOD, "id": "b", **change}).encode() for change in (
        {"stat": 5}, {"stat": [1]}, {"metrics": {"dice": "x"}}, {"metrics": 3}, {"host": "name"}, {"recipe": [1]},
        {"status": "failed"}, {"status": "failed", "failure": {"class": 1}}, {"metrics": {"dice": 10**400}},
    )),
]  # fmt: skip


@pytest.mark.parametrize("line", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_line_of_a_journal_costs_itself_only(tmp_path, line):
    (tmp_path / "work").mkdir()
    good = json.dumps(GOOD).encode()
    (tmp_path / "work" / "results-1of1.jsonl").write_bytes(good + b"\n" + line + b"\n")
    assert read_journals(tmp_path).keys() == {"a"}
    outcome = b'{"id": "a", "in": null, "outcome": ' + good + b"}"
    (tmp_path / "j").write_bytes(
        b'{"id": "c", "in": "read"}\n{"outcome": ' + line + b"}\n" + line + b"\n" + outcome + b"\n"
    )
    reader = JournalReader(tmp_path / "j")
    assert [one.id for one in reader.news()] == ["a"] and reader.in_flight == {"c": "read"}
    (tmp_path / "qc.json").write_bytes(line)
    assert read_sidecar(tmp_path / "qc.json") is None or parse_object(line)["status"] == "ok"


def test_a_journal_tells_who_was_in_flight(tmp_path):
    journal, reader = Journal(tmp_path / "j"), JournalReader(tmp_path / "j")
    journal.begin("a", "read")
    journal.end("a")
    journal.begin("b", "compute")
    assert reader.news() == [] and reader.in_flight == {"b": "compute"}
    done = PairResult("b", "ok", "key", seconds={"compute": 1.0})
    journal.outcome(done)
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"id": "c", "in": "wri')  # cut off by a kill
    assert reader.news() == [done] and reader.news() == []
    assert reader.in_flight == {}
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "j")
    assert JournalReader(tmp_path / "none").news() == []
