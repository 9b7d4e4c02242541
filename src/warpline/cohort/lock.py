"""Locks on output folders, which the system releases when a process dies."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from warpline.cohort.layout import WORK
from warpline.errors import BusyError, OutputError
from warpline.io.drafts import writing
from warpline.io.file_locks import Lock, is_held, open_file, try_lock, wait_for_lock

_log = logging.getLogger(__name__)

MAX_CLAIMS = 256
"""Folders of subjects that one run locks one by one; a run on more locks the whole output folder."""

_DRIVER = "driver"
"""Lock of a run that is alone."""

_PART, _ACTIVE = "part-", "active-"
"""Beginnings of the names of locks: of the parts that runs have claimed, and of such runs until they end."""


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
            self._kind, self._claims = f"{_PART}of-{count}-", [str(index)]
        elif 0 < len(names) <= MAX_CLAIMS:
            self._kind, self._claims = f"{_PART}subject-", names
        self._held: dict[str, int] = {}

    def __enter__(self) -> FolderLock:
        try:
            with waiting(self._root, "starting.lock"):
                self._refuse_others()
                parts = [f"{self._kind}{claim}" for claim in self._claims]
                states = [self._take(name) for name in ([*parts, self._active] if parts else [_DRIVER])]
        except BaseException:
            self._release()
            raise
        if Lock.UNKNOWN in states:
            _log.warning("%s: this file system has no locks; start no second run on this folder", self._root)
        return self

    def __exit__(self, *_: object) -> None:
        harmless = suppress(OSError, OutputError)  # files of locks that nobody holds may stay
        with harmless, waiting(self._root, "starting.lock"):
            for name in self._held.copy():
                self._give_up(name)
        self._release()

    def tables(self) -> AbstractContextManager[None]:
        """Hold the lock on the files that are written for all pairs: tables, manifest, pages."""
        return waiting(self._root)

    def alone(self) -> bool:
        """Whether no other run is active; this one no longer counts as active, so that the last one gets True."""
        if not self._claims:
            return True
        with waiting(self._root, "starting.lock"):
            self._give_up(self._active)
            return not any(_is_held(path) for path in self._folder.glob(f"{_ACTIVE}*.lock"))

    @property
    def _active(self) -> str:
        """Name of the lock that says that this run is active; no other one has the same claims."""
        return f"{_ACTIVE}{self._kind}{self._claims[0]}"

    def _refuse_others(self) -> None:
        """Refuse to run beside a run on everything, or on parts of another kind, which may hold the same pairs."""
        for path in [self._path(_DRIVER), *sorted(self._folder.glob(f"{_PART}*.lock"))]:
            own = bool(self._claims) and path.name.startswith(self._kind)
            if not own and _is_held(path):
                raise self._busy(path)

    def _take(self, name: str) -> Lock:
        path = self._path(name)
        with writing(path):
            file = self._held[name] = open_file(path)
        state = try_lock(file)
        if state is Lock.HELD:
            raise self._busy(path)
        with suppress(OSError):  # on a full disk the owner stays unknown
            owner = {"host": platform.node(), "pid": os.getpid()}
            path.with_suffix(".owner").write_text(json.dumps(owner), encoding="utf-8", newline="\n")
        return state

    def _give_up(self, name: str) -> None:
        """Release a lock; its files go, unless another process has opened them."""
        os.close(self._held.pop(name))
        for path in (self._path(name), self._path(name).with_suffix(".owner")):
            with suppress(OSError):
                path.unlink()

    def _release(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def _busy(self, path: Path) -> BusyError:
        owner = "unknown"
        with suppress(OSError):
            owner = path.with_suffix(".owner").read_text(encoding="utf-8", errors="replace").strip() or owner
        part = "" if path.stem == _DRIVER else f", which holds {path.stem}"
        return BusyError(f"{self._root} is in use by another run ({owner}){part}; wait for it or stop it")


@contextmanager
def waiting(root: Path, name: str = "tables.lock") -> Iterator[None]:
    """Hold a lock of an output folder, however long it takes to get it; nothing where the file system has none."""
    path = root / WORK / name
    with writing(path):
        file = open_file(path)
    try:
        wait_for_lock(file)
        yield
    finally:
        os.close(file)


def _is_held(path: Path) -> bool:
    with writing(path):
        return is_held(path)
