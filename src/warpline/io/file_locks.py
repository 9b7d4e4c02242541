"""Exclusive locks on files, which the system releases when their process dies, on every system.

On POSIX systems this is ``flock``, which binds only those who ask for it, and which NFS (of Linux, since 2.6.12)
carries to other machines. Windows refuses reads and writes of locked bytes, so what is locked there holds no content.
"""

from __future__ import annotations

import logging
import os
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portalocker import LockFlags

_log = logging.getLogger(__name__)

ADVISORY = os.name == "posix"
"""Whether a locked file can be read, written and renamed by those who do not ask for the lock."""

POLL = 0.05
"""Seconds between two attempts to take a lock that another process holds."""


class Lock(Enum):
    """What came of an attempt to take a lock."""

    TAKEN = "taken"
    HELD = "held by another"
    UNKNOWN = "the file system has no locks"


def open_file(path: Path) -> int:
    """Open a file to be locked, created if missing; returns its descriptor, the caller closes it.

    A symbolic link is not followed.

    Raises
    ------
    OSError
        When it cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666)


def try_lock(file: int) -> Lock:
    """Take the lock of an open file, or say why not; closing the file releases it.

    Parameters
    ----------
    file : int
        A descriptor that is open for writing, as NFS wants it.
    """
    import portalocker

    return _lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)


def wait_for_lock(file: int) -> Lock:
    """Take the lock of an open file, however long another process holds it.

    Parameters
    ----------
    file : int
        As in `try_lock`.
    """
    import portalocker

    while (state := _lock(file, portalocker.LockFlags.EXCLUSIVE)) is Lock.HELD:  # Windows gives up after 10 s
        time.sleep(POLL)
    return state


def _lock(file: int, flags: LockFlags) -> Lock:
    import portalocker

    try:
        portalocker.lock(file, flags)
    except portalocker.AlreadyLocked:
        return Lock.HELD
    except portalocker.LockException as error:
        _log.debug("no locks here: %s", error)
        return Lock.UNKNOWN
    return Lock.TAKEN


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; False where there is none of that name.

    Another process may take it right after the answer, unless both ask under a lock that excludes each other.

    Raises
    ------
    OSError
        When it cannot be opened.
    """
    if not path.exists():
        return False
    file = open_file(path)
    try:
        return try_lock(file) is Lock.HELD
    finally:
        os.close(file)
