"""Locks of files between processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import portalocker
import pytest

from warpline.io import file_locks
from warpline.io.file_locks import Lock, is_held, open_file, try_lock, wait_for_lock

HOLD = """
import sys, time
from pathlib import Path
from warpline.io.file_locks import open_file, try_lock
print(try_lock(open_file(Path(sys.argv[1]))).name, flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of the file."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "lock"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "TAKEN\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_released_when_its_process_is_killed(tmp_path, holder):
    file = open_file(tmp_path / "lock")
    assert try_lock(file) is Lock.HELD
    assert is_held(tmp_path / "lock")
    holder.kill()
    assert wait_for_lock(file) is Lock.TAKEN
    os.close(file)
    assert not is_held(tmp_path / "lock")


def test_waiting_ends_when_the_lock_is_released(tmp_path):
    first, second = open_file(tmp_path / "lock"), open_file(tmp_path / "lock")
    assert try_lock(first) is Lock.TAKEN
    timer = threading.Timer(0.1, os.close, [first])
    timer.start()
    assert wait_for_lock(second) is Lock.TAKEN
    timer.join()
    os.close(second)


def test_waiting_goes_on_where_the_system_gives_up(tmp_path, monkeypatch):
    """Windows tries for ten seconds and then says that the lock is held."""
    answers = [portalocker.AlreadyLocked("held"), portalocker.AlreadyLocked("held"), None]

    def lock(file, flags):
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(portalocker, "lock", lock)
    monkeypatch.setattr(file_locks, "POLL", 0)
    assert wait_for_lock(0) is Lock.TAKEN
    assert answers == []


def test_a_file_system_without_locks_is_told_from_a_held_lock(tmp_path, monkeypatch):
    def lock(file, flags):
        raise portalocker.LockException(OSError(38, "Function not implemented"))

    monkeypatch.setattr(portalocker, "lock", lock)
    file = open_file(tmp_path / "lock")
    assert try_lock(file) is wait_for_lock(file) is Lock.UNKNOWN
    os.close(file)


def test_a_file_that_does_not_exist_is_not_held(tmp_path):
    assert not is_held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
