"""Folders that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from warpline.io.drafts import DRAFT, EARLIER, Draft, flush_file, flush_folder, writing

CONTENT = ".content"
"""End of the name of an unfinished folder; its beginning is that of the lock beside it."""
_PATIENCE = 30.0
"""Seconds to wait for another writer of the same folder."""


def write_folder(target: Path, fill: Callable[[Path], None], is_own: Callable[[Path], bool]) -> None:
    """Fill a folder under a temporary name beside its target, flush it to disk, then rename it.

    An older folder is kept aside until the new one is in place. What a killed process left is deleted, or restored.

    Parameters
    ----------
    target : Path
        Its final name.
    fill : callable
        ``fill(folder)`` writes everything into an empty folder.
    is_own : callable
        ``is_own(folder)`` says whether an older folder may be replaced.

    Raises
    ------
    OutputError
        When it cannot be written, or another run is writing it; an older one stays.
    """
    lock, earlier = Draft(target), target.with_name(EARLIER + target.name)
    draft = target.with_name(DRAFT + target.name + CONTENT)
    with writing(target):
        try:
            lock.claim(_PATIENCE)
            _recover(target, earlier)
            shutil.rmtree(draft, ignore_errors=True)
            if target.exists() and not (target.is_dir() and is_own(target)):
                raise FileExistsError(errno.EEXIST, "another file or folder of that name exists")
            draft.mkdir()
            fill(draft)
            _flush(draft)
            _exchange(draft, target, earlier)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            lock.drop()
    flush_folder(target.parent)


def _recover(target: Path, earlier: Path) -> None:
    """Restore the folder that a killed process had set aside, or delete it where the new one is in place."""
    if earlier.is_dir() and not target.exists():
        earlier.replace(target)
    elif earlier.is_dir():
        shutil.rmtree(earlier)


def _exchange(draft: Path, target: Path, earlier: Path) -> None:
    if target.exists():
        target.replace(earlier)
    try:
        draft.replace(target)
    except OSError:
        _recover(target, earlier)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Flush every file and folder to disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            flush_file(Path(place, name))
        flush_folder(Path(place))
