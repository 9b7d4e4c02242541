"""One driver per output folder: locks that the system lets go when a process dies."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
from pathlib import Path

from warpline.cohort.layout import WORK
from warpline.errors import UsageError

_log = logging.getLogger(__name__)
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


class FolderLock:
    """Keeps other drivers out of an output folder; of several shards each keeps out its own kind only.

    Parameters
    ----------
    root : Path
        The output folder; its working folder must exist.
    shard : (i, n)
        (1, 1) for a run of all pairs.

    Raises
    ------
    UsageError
        From ``with``, when another driver is at work, naming it.
    """

    def __init__(self, root: Path, shard: tuple[int, int] = (1, 1)) -> None:
        index, count = shard
        folder = root / WORK
        self._wanted = [(folder / "driver.lock", fcntl.LOCK_EX if count == 1 else fcntl.LOCK_SH)]
        if count > 1:
            self._wanted.append((folder / f"driver-{index}-of-{count}.lock", fcntl.LOCK_EX))
        self._held: list[int] = []

    def __enter__(self) -> FolderLock:
        try:
            for path, kind in self._wanted:
                self._take(path, kind)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            os.close(self._held.pop())

    def _take(self, path: Path, kind: int) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._held.append(file)
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                _log.warning("%s: this file system has no locks; start no second run on this folder", path)
                return
            owner = os.read(file, 200).decode(errors="replace").strip() or "unknown"
            raise UsageError(
                f"{path.parent.parent} is in use by another run ({owner}); wait for it or stop it"
            ) from None
        if kind == fcntl.LOCK_EX:
            os.ftruncate(file, 0)
            os.write(file, json.dumps({"host": platform.node(), "pid": os.getpid()}).encode())
