"""The folder in which numba caches compiled code: the first writable one, passed on in ``NUMBA_CACHE_DIR``."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHIPPED = "WARPLINE_COMPILED"
"""Environment variable that names a folder of code compiled in advance, as in the container."""

_log = logging.getLogger(__name__)


def choose_cache_folder() -> None:
    """Choose the folder; to be called before the first kernel is imported.

    The folder that the user has chosen, else beside the package, else in the user's cache folder, else a temporary
    folder, with a warning, because the next process compiles again. Code that the installation ships compiled is
    copied there.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    package = Path(__file__).resolve().parents[1]
    shipped = os.environ.get(SHIPPED)
    if not chosen and not shipped and _writable(package):
        discard_outdated(Path(__file__).resolve().parent / "__pycache__", "")
        return
    folder = next((path for path in _candidates(chosen) if _writable(path)), None)
    if folder is None:
        folder = _temporary()
        if not shipped:
            _log.warning(
                "neither the installation nor the home folder can be written: compiled code is kept in %s; name a "
                "lasting folder with NUMBA_CACHE_DIR",
                folder,
            )
    if shipped and os.path.isdir(shipped) and Path(shipped).resolve() != folder.resolve() and not any(folder.iterdir()):
        shutil.copytree(shipped, folder, dirs_exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    discard_outdated(folder, f"{Path(__file__).parent.name}_*/")


def discard_outdated(folder: Path, below: str) -> None:
    """Remove kernels that other sources were compiled from, as before an upgrade.

    Numba looks for changes in the file of a kernel only, not in those of the helpers that were inlined. What the
    compiled code was made of is remembered in the folder, for each installation.

    Parameters
    ----------
    folder : Path
        Of compiled code.
    below : str
        Pattern of the folders in it, that numba makes for sources of this package.
    """
    sources = Path(__file__).resolve().parent
    stamp = folder / f"warpline-{hashlib.sha1(str(sources).encode(), usedforsecurity=False).hexdigest()[:12]}"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources.glob("*.py")))).hexdigest()
    try:
        if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
            return
        for outdated in folder.glob(f"{below}numba_*.nb[ic]"):
            outdated.unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        stamp.write_bytes(digest.encode())
    except OSError as error:
        _log.debug("compiled code in %s is left as it is: %s", folder, error)


def _candidates(chosen: str | None) -> Iterator[Path]:
    if chosen:
        yield Path(chosen)
    from platformdirs import user_cache_path

    yield user_cache_path("warpline") / "numba"


def _writable(folder: Path) -> bool:
    """Whether files can be created in a folder, which is created if missing; permission bits alone do not say so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _temporary() -> Path:
    """A temporary folder that only this user may use, since its content is executed.

    On POSIX systems later processes find it again; elsewhere permission bits do not say whose a folder is.
    """
    shared = _shared(os.getuid()) if hasattr(os, "getuid") else None
    if shared is not None:
        return shared
    own = Path(tempfile.mkdtemp(prefix="warpline-numba-"))
    atexit.register(_remove, own, os.getpid())
    return own


def _shared(user: int) -> Path | None:
    """The folder of all processes of a user; None where another user has, or could have, put something into it."""
    folder = Path(tempfile.gettempdir(), f"warpline-numba-{user}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077
    return folder if private else None


def _remove(folder: Path, process: int) -> None:
    """Remove the folder at the end of the process that created it, and not at that of a forked one."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
