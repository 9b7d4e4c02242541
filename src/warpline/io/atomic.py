"""Files that appear complete, together, or not at all."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from warpline.errors import OutputError

_PROBE = bytes(4096)


class Transaction:
    """Collects output files under temporary names and gives them their names at the end.

    Each file is written beside its target, so the last step is a rename. Leaving the ``with`` block
    normally renames every file in the order of writing; leaving it by an error, or an error while
    renaming, removes every file and folder that was made. The target of the file written last is the
    mark of completeness: an older one is taken away before the first rename.

    Raises
    ------
    OutputError
        When a file cannot be written, naming its target and the reason.
    """

    def __init__(self) -> None:
        self._staged: list[tuple[Path, Path]] = []
        self._folders: list[Path] = []
        self._stale: list[Path] = []
        self._named: list[Path] = []

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._undo()
            return
        try:
            self._commit()
        except BaseException:
            self._undo()
            raise

    def prepare(self, folder: Path) -> None:
        """Create `folder` where it is missing, and try to write into it."""
        with _writing(folder):
            for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
                missing.mkdir(exist_ok=True)
                self._folders.append(missing)
            probe = _beside(folder / "probe")
            try:
                probe.write_bytes(_PROBE)
            finally:
                probe.unlink(missing_ok=True)

    @contextmanager
    def staged(self, target: Path) -> Iterator[Path]:
        """The temporary path, with the target's suffix, that another writer fills inside the ``with`` block."""
        temporary = _beside(target)
        self._staged.append((temporary, target))
        with _writing(target):
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "a folder of that name exists")
            try:
                yield temporary
            except OutputError as error:
                raise OutputError(str(error).replace(str(temporary), str(target))) from None

    def write(self, target: Path, content: bytes) -> None:
        """Write `content`, to become `target`."""
        with self.staged(target) as temporary:
            temporary.write_bytes(content)

    def discard(self, target: Path) -> None:
        """Take a file of an earlier run away when the new ones get their names."""
        self._stale.append(target)

    def _commit(self) -> None:
        mark = [target for _, target in self._staged[-1:]]
        for target in mark + self._stale:
            with _writing(target):
                target.unlink(missing_ok=True)
        for temporary, target in self._staged:
            with _writing(target):
                temporary.replace(target)
            self._named.append(target)
        self._folders.clear()

    def _undo(self) -> None:
        for path in [temporary for temporary, _ in self._staged] + self._named:
            path.unlink(missing_ok=True)
        for folder in reversed(self._folders):
            try:
                folder.rmdir()
            except OSError:  # someone else's file arrived there
                return


def write_atomic(path: Path, content: bytes) -> None:
    """Write one file under a temporary name beside it, then rename it.

    Raises
    ------
    OutputError
        When it cannot be written; nothing is left behind, and an older file of that name stays.
    """
    temporary = _beside(path)
    try:
        with _writing(path):
            temporary.write_bytes(content)
            temporary.replace(path)
    finally:
        with _writing(path):
            temporary.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{uuid.uuid4().hex[:12]}.{target.name}")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{target} cannot be written: {reason}; choose a folder that is writable and has free space"
        ) from None
