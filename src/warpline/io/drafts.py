"""Drafts: output files before they have their names, locked while their writers live, and the files they replace."""

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

try:
    import fcntl
except ImportError:  # Windows, where a file in use cannot be renamed by another process
    fcntl = None  # type: ignore[assignment]

DRAFT, EARLIER = ".draft.", ".earlier."
"""What the names of unfinished files, and of files on the way out, begin with."""

_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_POLL = 0.05
"""Seconds between two tries to lock a draft."""

_log = logging.getLogger(__name__)


class Draft:
    """The file that is to become `target`: a hidden file beside it, locked while this process works on it.

    The system lets the lock go when the process dies, so that the next writer of `target` can tell a draft that a
    killed process left from one that is being written.

    Parameters
    ----------
    target : Path
        The name it gets in the end.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.temporary = target.with_name(DRAFT + target.name)
        self.earlier = target.with_name(EARLIER + target.name)
        self._lock: int | None = None
        self._placing = self._placed = False

    def claim(self, patience: float = 0.0) -> None:
        """Create the draft, or take over and empty the one that a killed process left.

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
            time.sleep(_POLL)

    def _take(self) -> bool:
        file = os.open(self.temporary, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if _locked(file) and _is_at(file, self.temporary):
                os.ftruncate(file, 0)
                self._lock, file = file, -1
                return True
            return False
        finally:
            if file >= 0:
                os.close(file)

    def flush(self) -> None:
        """Bring the content to the disk, with the permissions and the group of the file it will replace."""
        file = os.open(self.temporary, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        with suppress(FileNotFoundError):
            before = os.stat(self.target)
            with suppress(OSError, AttributeError):  # not a group of this user, or no groups here
                os.chown(self.temporary, -1, before.st_gid)
            os.chmod(self.temporary, stat.S_IMODE(before.st_mode))

    def place(self) -> None:
        """Give the draft its name."""
        self._placing = True
        self.temporary.replace(self.target)
        self._placed = True

    def take_back(self) -> None:
        """Undo `place`, and put back the file that was set aside."""
        with suppress(OSError):
            if self.earlier.exists():
                self.earlier.replace(self.target)
            elif self._placing and not self.temporary.exists():
                self.target.unlink()

    def drop(self) -> None:
        """Take the draft away where it has not got its name, and let the lock go; that of another process stays."""
        with suppress(OSError):
            if not self._placed and (self._lock is not None or (self.temporary.exists() and self._take())):
                self.temporary.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


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


def settle(targets: Sequence[Path]) -> None:
    """Put right what a process left that was killed while it replaced `targets`, the last of which is the mark.

    With the mark in place the exchange was complete, and the older files go; without it they come back.
    """
    complete = targets[-1].exists()
    for target in targets:
        earlier = target.with_name(EARLIER + target.name)
        if complete:
            earlier.unlink(missing_ok=True)
        elif earlier.exists():
            earlier.replace(target)


def sweep(target: Path) -> None:
    """Take away a draft of `target` that a killed process left.

    Raises
    ------
    OutputError
        When its writer is alive.
    """
    draft = Draft(target)
    if draft.temporary.exists():
        draft.claim()
        draft.drop()


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Errors of the system as `OutputError`, naming `target`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{target} cannot be written: {reason}; choose a folder that is writable and has free space"
        ) from None


def _locked(file: int) -> bool:
    """Lock a file; True too where the file system has no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        _log.info("this file system has no locks (%s): start no two runs with the same outputs", error.strerror)
    return True


def _is_at(file: int, path: Path) -> bool:
    """Whether the open file still has its name: its writer may have renamed or removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
