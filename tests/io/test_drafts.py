"""Drafts of output files: locks, leftovers of killed processes, permissions."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from warpline.errors import OutputError
from warpline.io import file_locks
from warpline.io.atomic import Transaction, write_atomic
from warpline.io.drafts import DRAFT


def everything_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


NAMES = ("affine", "warp", "report")


@pytest.mark.parametrize("renames", range(7))
def test_a_run_killed_while_renaming_is_put_right_by_the_next(tmp_path, renames):
    """SIGKILL after any number of renames: the next run finds all of the old result, or all of the new one."""
    for name in NAMES:
        (tmp_path / name).write_bytes(b"old")
    code = f"""if True:
        import os
        from pathlib import Path
        from warpline.io.atomic import Transaction
        replace, calls = Path.replace, []
        def dies(self, target):
            if len(calls) == {renames}:
                os._exit(9)
            calls.append(self)
            return replace(self, target)
        Path.replace = dies
        with Transaction() as files:
            for name in {NAMES}:
                files.write(Path(name), b"new")
        os._exit(9)
        """
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 9
    with pytest.raises(ValueError, match="stop"), Transaction() as files:
        files.reserve([tmp_path / name for name in NAMES])
        raise ValueError("stop")
    assert everything_under(tmp_path) == sorted(NAMES)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"new" if renames == 6 else b"old"}


def test_drafts_of_a_killed_run_go_with_the_next(tmp_path):
    (tmp_path / f"{DRAFT}warp").write_bytes(b"half")
    (tmp_path / f"{DRAFT}report").write_bytes(b"half")
    with Transaction() as files:
        files.reserve([tmp_path / name for name in NAMES])
        files.write(tmp_path / "report", b"new")
    assert everything_under(tmp_path) == ["report"]
    (tmp_path / f"{DRAFT}report").write_bytes(bytes(99))
    write_atomic(tmp_path / "report", b"newer")
    assert everything_under(tmp_path) == ["report"]
    assert (tmp_path / "report").read_bytes() == b"newer"


def test_a_second_run_on_the_same_names_is_refused(tmp_path):
    with Transaction() as files:
        files.reserve([tmp_path / "report"])
        with pytest.raises(OutputError, match="report is being written by another run; wait"), Transaction() as second:
            second.reserve([tmp_path / "report"])
        with pytest.raises(OutputError, match="report is being written by another run"), Transaction() as second:
            second.write(tmp_path / "report", b"second")
        files.write(tmp_path / "report", b"first")
    assert everything_under(tmp_path) == ["report"]
    assert (tmp_path / "report").read_bytes() == b"first"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_permissions_of_a_replaced_file_are_kept(tmp_path):
    for mode in (0o600, 0o664, 0o444):
        (tmp_path / "a").write_bytes(b"old")
        (tmp_path / "a").chmod(mode)
        with Transaction() as files:
            files.write(tmp_path / "a", b"new")
            files.write(tmp_path / "b", b"new")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
        write_atomic(tmp_path / "a", b"newer")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
        (tmp_path / "a").unlink()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux names the file of a descriptor")
def test_content_reaches_the_disk_before_the_names_change(tmp_path, monkeypatch):
    told, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (told.append(os.readlink(f"/proc/self/fd/{file}")), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (told.append(Path(to).name), replace(self, to)))
    with Transaction() as files:
        for name in ("a", "report"):
            files.write(tmp_path / name, b"new")
    folder, drafts = str(tmp_path), [f"{tmp_path}/{DRAFT}{name}" for name in ("a", "report")]
    assert told == [*drafts, "a", folder, "report", folder]


def test_a_lock_beside_the_draft_serves_on_windows(tmp_path, monkeypatch):
    """There a locked file is neither written nor renamed."""
    monkeypatch.setattr(file_locks, "ADVISORY", False)
    beside = f"{DRAFT}report.lock"
    with Transaction() as files:
        files.reserve([tmp_path / "report"])
        assert everything_under(tmp_path) == [f"{DRAFT}report", beside]
        assert file_locks.is_held(tmp_path / beside) and not file_locks.is_held(tmp_path / f"{DRAFT}report")
        with pytest.raises(OutputError, match="report is being written by another run; wait"), Transaction() as second:
            second.reserve([tmp_path / "report"])
        files.write(tmp_path / "report", b"first")
    write_atomic(tmp_path / "other", b"second")
    assert everything_under(tmp_path) == ["other", "report"]
    assert (tmp_path / "report").read_bytes() == b"first"


def test_systems_without_groups_replace_files_too(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "chown")
    for content in (b"old", b"new"):
        write_atomic(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == b"new"
