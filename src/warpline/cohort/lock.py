"""Locks on output folders, which the system releases when a process dies."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from warpline.cohort.layout import WORK
from warpline.errors import BusyError, OutputError

_log = logging.getLogger(__name__)
_HELD = (errno.EWOULDBLOCK, errno.EACCES)

MAX_CLAIMS = 256
"""Folders of subjects that one run locks one by one; a run on more locks the whole output folder."""

_PREFIX = "part-"


class FolderLock:
    """Lets runs on different parts of a cohort share an output folder, and excludes all others.

    A run of all pairs is alone. Shards ``i/n`` of one n, and runs on different subjects or sessions, go on side by
    side; shards of another n, or a shard beside a run on subjects, are refused.

    Parameters
    ----------
    root : Path
        The output folder; its working folder must exist.
    shard : (i, n)
        (1, 1) for a run of all pairs, or of some participants.
    folders : iterable of str, optional
        The folders of pairs that a run on some participants or sessions writes to; None for other runs.

    Raises
    ------
    BusyError
        From ``with``, when another run is at work on the same part, naming it.
    """

    def __init__(self, root: Path, shard: tuple[int, int] = (1, 1), folders: Iterable[str] | None = None) -> None:
        self._root, self._folder = root, root / WORK
        index, count = shard
        names = [] if folders is None else sorted({folder.replace("/", "_") for folder in folders})
        self._claims: list[str] = []
        self._kind = ""
        if count > 1:
            self._kind, self._claims = f"{_PREFIX}of-{count}-", [str(index)]
        elif 0 < len(names) <= MAX_CLAIMS:
            self._kind, self._claims = f"{_PREFIX}subject-", names
        self._held: list[int] = []
        self._driver = -1

    def __enter__(self) -> FolderLock:
        try:
            with waiting(self._root, "starting.lock"):
                self._driver = self._take("driver.lock", fcntl.LOCK_SH if self._claims else fcntl.LOCK_EX)
                if self._claims:
                    self._refuse_others()
                for claim in self._claims:
                    self._take(f"{self._kind}{claim}.lock", fcntl.LOCK_EX)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError), waiting(self._root, "starting.lock"):  # a lock file that nobody holds does no harm
            for claim in self._claims:
                (self._folder / f"{self._kind}{claim}.lock").unlink(missing_ok=True)
        self._release()

    def tables(self) -> AbstractContextManager[None]:
        """Hold the lock on the files that are written for all pairs: tables, manifest, pages."""
        return waiting(self._root)

    def alone(self) -> bool:
        """Whether no other run is active; this one releases its shared lock, so that the last one gets True."""
        if not self._claims:
            return True
        with waiting(self._root, "starting.lock"):
            try:
                fcntl.flock(self._driver, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                return error.errno not in _HELD
            fcntl.flock(self._driver, fcntl.LOCK_UN)
            return True

    def _release(self) -> None:
        while self._held:
            os.close(self._held.pop())

    def _refuse_others(self) -> None:
        """Refuse to share the folder with parts of another kind, which may hold the same pairs."""
        for path in sorted(self._folder.glob(f"{_PREFIX}*.lock")):
            if not path.name.startswith(self._kind):
                os.close(self._take(path.name, fcntl.LOCK_SH, keep=False))

    def _take(self, name: str, kind: int, *, keep: bool = True) -> int:
        path = self._folder / name
        file = _opened(path)
        if keep:
            self._held.append(file)
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                _log.warning("%s: this file system has no locks; start no second run on this folder", path)
                return file
            owner = os.read(file, 200).decode(errors="replace").strip() or "of several jobs"
            if not keep:
                os.close(file)
            part = "" if name == "driver.lock" else f", which holds {name.removesuffix('.lock')}"
            raise BusyError(
                f"{path.parent.parent} is in use by another run ({owner}){part}; wait for it or stop it"
            ) from None
        if keep:
            with suppress(OSError):  # on a full disk the owner stays unknown
                os.ftruncate(file, 0)
                if kind == fcntl.LOCK_EX:
                    os.write(file, json.dumps({"host": platform.node(), "pid": os.getpid()}).encode())
        return file


@contextmanager
def waiting(root: Path, name: str = "tables.lock") -> Iterator[None]:
    """Hold a lock of an output folder, however long it takes to get it; nothing where the file system has none."""
    file = _opened(root / WORK / name)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            _log.debug("%s: this file system has no locks", name)
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; choose a folder that is writable and has free space"
        ) from None
