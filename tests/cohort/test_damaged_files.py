"""Files of an output folder that were cut off or changed: what is damaged counts as missing, in a line."""

from __future__ import annotations

import json
import os

import pytest

from warpline.cohort.decisions import read_decisions
from warpline.cohort.entities import Filter
from warpline.cohort.journal import JournalReader
from warpline.cohort.json_lines import LONGEST, object_in, read_object
from warpline.cohort.layout import FAILURES, IGNORED, RESULTS, describe_dataset
from warpline.cohort.manifest import read_manifest
from warpline.cohort.pages import _thumbnail
from warpline.cohort.pair_pages import output_of
from warpline.cohort.records import RESULT_COLUMNS
from warpline.cohort.results import Results
from warpline.cohort.state import read_rows, read_sidecar
from warpline.errors import InputError

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
    assert read_rows(tmp_path).keys() == {"a"}
    outcome = b'{"id": "a", "in": null, "outcome": ' + good + b"}"
    (tmp_path / "j").write_bytes(
        b'{"id": "c", "in": "read"}\n{"outcome": ' + line + b"}\n" + line + b"\n" + outcome + b"\n"
    )
    reader = JournalReader(tmp_path / "j")
    assert [one["id"] for one in reader.news() if one["id"] != "b"] == ["a"] and reader.in_flight == {"c": "read"}
    (tmp_path / "qc.json").write_bytes(line)
    assert read_sidecar(tmp_path / "qc.json") is None or object_in(line)["status"] == "ok"


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
        assert Results.read(tmp_path).rows == []
    except InputError as error:
        assert len(str(error)) < 400
    (tmp_path / RESULTS).write_text(table())
    (tmp_path / FAILURES).write_text("id\tmessage\na\tb\n")
    with pytest.raises(InputError, match=r"failures\.tsv is damaged"):
        Results.read(tmp_path)


def test_a_sidecar_embeds_no_file_from_outside(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    picture = b"RIFF\0\0\0\0WEBP"
    (tmp_path / "secret").write_bytes(picture)
    (out / "link").symlink_to(tmp_path / "secret")
    (out / "own.webp").write_bytes(picture)
    (out / "own.txt").write_bytes(b"text")
    for name in ("../secret", str(tmp_path / "secret"), "link", "own.txt", "none", 5, None, "\0"):
        (out / "qc.json").write_text(json.dumps({"outputs": {"thumbnail": name}}))
        assert _thumbnail(out, "qc.json") == b""
    (out / "qc.json").write_text(json.dumps({"outputs": {"thumbnail": "own.webp"}}))
    assert _thumbnail(out, "qc.json") == picture
    with pytest.raises(InputError, match="names no warped inside the output folder"):
        output_of(out, {"outputs": {"warped": "../secret"}}, "warped")


READERS_OF_TABLES = {
    "m.tsv": read_manifest, "d.tsv": lambda path: read_decisions(path, ("fail",)),
    "f.json": lambda path: Filter.of("T1w", {}, path), RESULTS: lambda path: Results.read(path.parent),
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


def test_json_that_never_ends_counts_as_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "long").touch()
    os.truncate(tmp_path / "long", LONGEST + 1)
    assert [read_object(tmp_path / name) for name in ("pipe", "zero", "long", "none", "\0")] == [None] * 5


def test_a_list_of_ignored_files_in_another_encoding_is_kept(tmp_path):
    (tmp_path / IGNORED).write_bytes(b"\xe9t\xe9/\n")
    describe_dataset(tmp_path, ["odd"])
    assert (tmp_path / IGNORED).read_bytes().startswith(b"\xe9t\xe9/\n")
    assert b"*_desc-registered_odd.*" in (tmp_path / IGNORED).read_bytes()
