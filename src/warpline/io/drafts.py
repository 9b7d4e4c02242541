"""Draft files: output written under a temporary name, locked while its writer runs, and the files it replaces."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from warpline.errors import OutputError
from warpline.io import file_locks
from warpline.io.file_locks import POLL, Lock, open_file, try_lock

DRAFT, EARLIER = ".draft.", ".earlier."
"""Prefixes of the names of unfinished files, and of older files that are being replaced."""

_log = logging.getLogger(__name__)


class Draft:
    """The file that is to become `target`: a hidden file beside it, locked while this process works on it.

    The system releases the lock when the process dies, so that the next writer of `target` can distinguish a stale
    draft from one that is being written.

    Parameters
    ----------
    target : Path
        Its final name.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.temporary = target.with_name(DRAFT + target.name)
        self.earlier = target.with_name(EARLIER + target.name)
        self._lock: int | None = None
        self._placing = self._placed = False

    def claim(self, patience: float = 0.0) -> None:
        """Create the draft, or truncate the one that a killed process left.

        Parameters
        ----------
        patience : float
            Seconds to wait for another writer.

        Raises
        ------
        OutputError
            When another process is writing the same target.
        """
        until = time.monotonic() + patience
        while not self._take():
            if time.monotonic() >= until:
                raise OutputError(
                    f"{self.target} is being written by another run; wait for it, or choose another name or folder"
                )
            time.sleep(POLL)

    def _take(self) -> bool:
        file = open_file(self._lock_path)
        try:
            if _is_locked(file) and _is_at(file, self._lock_path):
                if file_locks.ADVISORY:
                    os.ftruncate(file, 0)
                else:
                    self.temporary.write_bytes(b"")
                self._lock, file = file, -1
                return True
            return False
        finally:
            if file >= 0:
                os.close(file)

    @property
    def _lock_path(self) -> Path:
        """What is locked: the draft itself where it can be written and renamed all the same, else a file beside it."""
        return self.temporary if file_locks.ADVISORY else self.temporary.with_name(f"{self.temporary.name}.lock")

    def flush(self) -> None:
        """Flush the content to disk (fsync), with the permissions and the group of the file that it replaces."""
        flush_file(self.temporary)
        with suppress(FileNotFoundError):
            before = os.stat(self.target)
            if hasattr(os, "chown"):
                with suppress(OSError):  # not a group of this user
                    os.chown(self.temporary, -1, before.st_gid)
            os.chmod(self.temporary, stat.S_IMODE(before.st_mode))

    def place(self) -> None:
        """Rename the draft to its final name."""
        self._placing = True
        self.temporary.replace(self.target)
        self._placed = True

    def restore(self) -> None:
        """Undo `place`, and restore the file that was set aside."""
        with suppress(OSError):
            if self.earlier.exists():
                self.earlier.replace(self.target)
            elif self._placing and not self.temporary.exists():
                self.target.unlink()

    def drop(self) -> None:
        """Delete the draft unless it was renamed, and release the lock; a draft of another process stays."""
        with suppress(OSError):
            if not self._placed and (self._lock is not None or (self.temporary.exists() and self._take())):
                self.temporary.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            if not file_locks.ADVISORY:
                with suppress(OSError):  # the next writer of `target` has opened it meanwhile
                    self._lock_path.unlink()


def set_aside(target: Path) -> None:
    """Rename an older file out of the way; a folder is not moved.

    Raises
    ------
    IsADirectoryError
        When `target` is a folder.
    """
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(errno.EISDIR, "a folder of that name exists")
    if target.exists() or target.is_symlink():
        target.replace(target.with_name(EARLIER + target.name))


def recover(targets: Sequence[Path]) -> None:
    """Recover from a process that was killed while it replaced `targets`, the last of which is the completion marker.

    Where the marker exists, the exchange was complete and the older files are deleted; else they are restored.
    """
    complete = targets[-1].exists()
    for target in targets:
        earlier = target.with_name(EARLIER + target.name)
        if complete:
            earlier.unlink(missing_ok=True)
        elif earlier.exists():
            earlier.replace(target)


def remove_stale(target: Path) -> None:
    """Delete a draft of `target` that a killed process left.

    Raises
    ------
    OutputError
        When its writer still runs.
    """
    draft = Draft(target)
    if draft.temporary.exists():
        draft.claim()
        draft.drop()


def flush_file(path: Path) -> None:
    """Flush the content of a file to disk (fsync)."""
    file = os.open(path, os.O_RDONLY if file_locks.ADVISORY else os.O_RDWR)  # Windows flushes what may be written
    try:
        os.fsync(file)
    finally:
        os.close(file)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk (fsync), where the system can."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn errors of the system into an `OutputError` that names `target`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{target} cannot be written: {reason}; choose a folder that is writable and has free space"
        ) from None


def _is_locked(file: int) -> bool:
    """Lock a file; also True where the file system has no locks."""
    state = try_lock(file)
    if state is Lock.UNKNOWN:
        _log.info("this file system has no locks: start no two runs with the same outputs")
    return state is not Lock.HELD


def _is_at(file: int, path: Path) -> bool:
    """Whether the open file still has its name: its writer may have renamed or removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
