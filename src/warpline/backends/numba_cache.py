"""Where compiled code is kept: the first place that can be written; numba is told by ``NUMBA_CACHE_DIR``."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHIPPED = "WARPLINE_COMPILED"
"""Variable of the environment that names a folder of code compiled beforehand, as the container has it."""

_log = logging.getLogger(__name__)


def place_cache() -> None:
    """Choose the place before the first kernel is imported.

    Beside the package, else in the user's cache folder, else in a temporary folder, which is said, because the next
    process compiles again. A folder that the user has chosen comes first. What the installation ships compiled is
    copied there.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    package = Path(__file__).resolve().parents[1]
    shipped = os.environ.get(SHIPPED)
    if not chosen and not shipped and _writable(package):
        return
    place = next((path for path in _places(chosen) if _writable(path)), None)
    if place is None:
        place = _temporary()
        if not shipped:
            _log.warning(
                "neither the installation nor the home folder can be written: compiled code is kept in %s; name a "
                "lasting folder with NUMBA_CACHE_DIR",
                place,
            )
    if shipped and os.path.isdir(shipped) and Path(shipped).resolve() != place.resolve() and not any(place.iterdir()):
        shutil.copytree(shipped, place, dirs_exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(place)


def _places(chosen: str | None) -> Iterator[Path]:
    if chosen:
        yield Path(chosen)
    from platformdirs import user_cache_path

    yield user_cache_path("warpline") / "numba"


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made where it is missing; permission bits do not tell all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _temporary() -> Path:
    """A temporary folder of this user alone, kept for the processes that follow: its content is run."""
    shared = Path(tempfile.gettempdir(), f"warpline-numba-{os.getuid() if hasattr(os, 'getuid') else 'user'}")
    try:
        shared.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(shared)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return shared
    except (OSError, AttributeError):
        pass
    own = Path(tempfile.mkdtemp(prefix="warpline-numba-"))
    atexit.register(_remove, own, os.getpid())
    return own


def _remove(folder: Path, process: int) -> None:
    """At the end of the process that made it; one that it forked leaves it alone."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
