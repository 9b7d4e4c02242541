"""Folders appear complete or not at all."""

from __future__ import annotations

import pytest

from warpline.errors import OutputError
from warpline.io.folder_drafts import CONTENT, write_folder


def fill(folder):
    (folder / "in").mkdir()
    (folder / "in" / "file").write_text("new")


def fail(folder):
    fill(folder)
    raise RuntimeError("stopped")


def own(folder):
    return (folder / "in").exists()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_written_and_replaced(tmp_path):
    target = tmp_path / "out"
    for _ in range(2):
        write_folder(target, fill, own)
        assert names(tmp_path) == ["out"] and (target / "in" / "file").read_text() == "new"
        (target / "in" / "file").write_text("older")


def test_nothing_stays_of_one_that_failed(tmp_path):
    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "out", fail, own)
    assert names(tmp_path) == []
    write_folder(tmp_path / "out", fill, own)
    (tmp_path / "out" / "in" / "file").write_text("older")
    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "out", fail, own)
    assert names(tmp_path) == ["out"] and (tmp_path / "out" / "in" / "file").read_text() == "older"


def test_what_is_not_ours_is_not_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "file").write_text("text")
    for name in ("out", "file"):
        with pytest.raises(OutputError, match="of that name exists"):
            write_folder(tmp_path / name, fill, own)
    assert names(tmp_path) == ["file", "out"]


def test_what_a_killed_process_left_is_restored_or_deleted(tmp_path):
    draft, earlier = tmp_path / f".draft.out{CONTENT}", tmp_path / ".earlier.out"
    draft.mkdir()
    fill_in(earlier)
    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "out", fail, own)
    assert names(tmp_path) == ["out"]
    fill_in(earlier)
    write_folder(tmp_path / "out", fill, own)
    assert names(tmp_path) == ["out"]


def fill_in(folder):
    folder.mkdir()
    fill(folder)


def test_a_folder_that_is_missing_is_said(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_folder(tmp_path / "absent" / "out", fill, own)
