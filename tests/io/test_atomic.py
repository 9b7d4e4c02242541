"""Files appear together or not at all, whatever fails and when."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from warpline.errors import OutputError
from warpline.io.atomic import Transaction, claimed, write_atomic
from warpline.io.drafts import DRAFT


def everything_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def small_files_only():
    """The process may not write files of more than 64 KiB; the kernel refuses as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_writes_and_replaces_one_file(tmp_path):
    path = tmp_path / "a.bin"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert everything_under(tmp_path) == ["a.bin"]


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    write_atomic(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_refused_write_leaves_the_old_file_and_nothing_else(tmp_path, small_files_only):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"a\.bin cannot be written: File too large; choose a folder"):
        write_atomic(path, bytes(2**17))
    assert path.read_bytes() == b"old"
    assert everything_under(tmp_path) == ["a.bin"]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomic(tmp_path / "gone" / "a.bin", b"")


def test_transaction_shows_files_only_at_the_end(tmp_path):
    with Transaction() as files:
        files.prepare(tmp_path / "new" / "deep")
        files.write(tmp_path / "new" / "deep" / "a", b"a")
        with files.staged(tmp_path / "new" / "deep" / "b.png") as temporary:
            assert temporary.suffix == ".png"
            temporary.write_bytes(b"b")
        assert not (tmp_path / "new/deep/a").exists()
    assert everything_under(tmp_path) == ["new", "new/deep", "new/deep/a", "new/deep/b.png"]
    assert (tmp_path / "new/deep/b.png").read_bytes() == b"b"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_takes_everything_away(tmp_path, error):
    with pytest.raises(error), Transaction() as files:
        files.prepare(tmp_path / "new" / "deep")
        files.write(tmp_path / "new" / "deep" / "a", b"a")
        raise error
    assert everything_under(tmp_path) == []


def test_an_error_keeps_folders_and_files_of_others(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a").write_bytes(b"old")
    with pytest.raises(ValueError, match="stop"), Transaction() as files:
        files.prepare(tmp_path / "old")
        files.prepare(tmp_path / "shared")
        files.write(tmp_path / "old" / "a", b"new")
        (tmp_path / "shared" / "theirs").write_bytes(b"")
        raise ValueError("stop")
    assert everything_under(tmp_path) == ["old", "old/a", "shared", "shared/theirs"]
    assert (tmp_path / "old" / "a").read_bytes() == b"old"


def test_full_disk_in_the_middle_takes_everything_away(tmp_path, small_files_only):
    with pytest.raises(OutputError, match="big cannot be written: File too large"), Transaction() as files:
        files.prepare(tmp_path / "new")
        files.write(tmp_path / "new" / "small", bytes(100))
        files.write(tmp_path / "new" / "big", bytes(2**17))
    assert everything_under(tmp_path) == []


def test_failure_while_renaming_keeps_the_earlier_run(tmp_path, monkeypatch):
    replace = Path.replace

    def fails_at_b(self, target):
        if self.name == DRAFT + "b":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_at_b)
    for name in ("report", "b", "stale"):
        (tmp_path / name).write_bytes(b"of an earlier run")
    with pytest.raises(OutputError, match="b cannot be written: Input/output error"), Transaction() as files:
        files.discard(tmp_path / "stale")
        for name in ("a", "b", "report"):
            files.write(tmp_path / name, b"")
    assert everything_under(tmp_path) == ["b", "report", "stale"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"of an earlier run"}


NAMES = ("affine", "warp", "report")


@pytest.mark.parametrize("call", range(1, 7))
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("late", [False, True])
def test_any_rename_that_fails_costs_no_file_of_the_earlier_run(tmp_path, monkeypatch, call, error, late):
    """Three older files are set aside, three new ones named; each rename fails before or after it was done."""
    replace, calls = Path.replace, []

    def breaks(self, target):
        calls.append(self)
        if len(calls) == call:
            if late:
                replace(self, target)
            raise error
        return replace(self, target)

    for name in NAMES:
        (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", breaks)
    with pytest.raises((OutputError, KeyboardInterrupt)), Transaction() as files:
        for name in NAMES:
            files.write(tmp_path / name, b"new")
    assert everything_under(tmp_path) == sorted(NAMES)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}


def test_a_file_of_an_earlier_run_can_be_taken_away(tmp_path):
    (tmp_path / "stale").write_bytes(b"")
    with Transaction() as files:
        files.discard(tmp_path / "stale")
        files.discard(tmp_path / "never-was")
        files.write(tmp_path / "a", b"")
        assert (tmp_path / "stale").exists()
    assert everything_under(tmp_path) == ["a"]


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="a folder of that name exists"), Transaction() as files:
        files.write(tmp_path / "a", b"")
        files.write(tmp_path / "b", b"")
    assert everything_under(tmp_path) == ["b"]


def test_a_write_that_fails_keeps_the_file_of_an_earlier_run(tmp_path, small_files_only):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OutputError), Transaction() as files:
        files.write(tmp_path / "a", bytes(2**17))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert everything_under(tmp_path) == ["a"]


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="Not a directory"), Transaction() as files:
        files.prepare(tmp_path / "file" / "out")
    assert everything_under(tmp_path) == ["file"]


def test_full_disk_is_noticed_when_preparing(tmp_path, small_files_only):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with pytest.raises(OutputError, match="File too large; choose a folder"), Transaction() as files:
        files.prepare(tmp_path / "out")
    assert everything_under(tmp_path) == []


def test_claimed_files_are_those_of_one_run_at_a_time(tmp_path):
    targets = [tmp_path / "new" / name for name in ("a", "report")]
    with claimed(targets) as files:
        with pytest.raises(OutputError), claimed(targets):
            pytest.fail("two runs write the same files")
        for target in targets:
            files.write(target, b"x")
    assert everything_under(tmp_path / "new") == ["a", "report"]
