"""Files that appear complete, together, or not at all."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from warpline.errors import OutputError
from warpline.io.drafts import Draft, flush_folder, recover, remove_stale, set_aside, writing

_PROBE = bytes(4096)
_PATIENCE = 30.0
"""Seconds that a single write waits for another writer of the same file."""


class Transaction:
    """Collects output files under temporary names and gives them their names at the end.

    Each file is written beside its target, so the last step is a rename. Leaving the ``with`` block
    normally brings every file to the disk and renames them in the order of writing; older files of the same
    names are kept aside until the last one is in place. Leaving it by an error, or an error while
    renaming, removes every file and folder that was made and restores the older files. The target of the
    file written last is the completion marker: an older one is set aside before the first rename.

    A process that is killed leaves drafts, and files set aside, that the next writer of the same targets
    deletes, or restores where the marker is missing.

    Raises
    ------
    OutputError
        When a file cannot be written, or is being written by another process, naming its target and the reason.
    """

    def __init__(self) -> None:
        self._drafts: dict[Path, Draft] = {}
        self._reserved: dict[Path, Draft] = {}
        self._recovered: set[Path] = set()
        self._folders: list[Path] = []
        self._stale: list[Path] = []
        self._replaced: dict[Path, Draft] = {}
        self._complete = False

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._commit()
        finally:
            self._clear()

    def prepare(self, folder: Path) -> None:
        """Create `folder` where it is missing, and try to write into it."""
        with writing(folder):
            for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
                self._folders.append(missing)
                missing.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(_PROBE)

    def reserve(self, targets: Sequence[Path]) -> None:
        """Lock the outputs of a run before it computes, and recover from a killed run on the same outputs.

        Parameters
        ----------
        targets : sequence of Path
            Every file that the run may write or discard; the last is written last.

        Raises
        ------
        OutputError
            When another process has claimed them.
        """
        mark = targets[-1]
        with writing(mark):
            self._reserved[mark] = Draft(mark)
            self._reserved[mark].claim()
            recover(targets)
            for target in targets[:-1]:
                remove_stale(target)
            self._recovered.update(targets)

    @contextmanager
    def staged(self, target: Path) -> Iterator[Path]:
        """The temporary path, with the target's suffix, that another writer fills inside the ``with`` block."""
        with writing(target):
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "a folder of that name exists")
            draft = self._draft(target)
            try:
                yield draft.temporary
            except OutputError as error:
                raise OutputError(str(error).replace(str(draft.temporary), str(target))) from None

    def write(self, target: Path, content: bytes) -> None:
        """Write `content`, to become `target`."""
        with self.staged(target) as temporary:
            temporary.write_bytes(content)

    def discard(self, target: Path) -> None:
        """Delete a file of an earlier run when the new files are renamed."""
        self._stale.append(target)

    def _draft(self, target: Path) -> Draft:
        if target not in self._drafts:
            if target not in self._reserved:
                self._reserved[target] = Draft(target)
                self._reserved[target].claim()
                if target not in self._recovered:
                    recover([target])
            self._drafts[target] = self._reserved.pop(target)
        return self._drafts[target]

    def _commit(self) -> None:
        drafts = list(self._drafts.values())
        for draft in drafts:
            with writing(draft.target):
                draft.flush()
        folders = {draft.target.parent for draft in drafts}
        if len(drafts) + len(self._stale) > 1:
            self._exchange(drafts, folders)
        for draft in drafts[-1:]:
            with writing(draft.target):
                draft.place()
        self._complete = True
        for folder in folders:
            flush_folder(folder)

    def _exchange(self, drafts: list[Draft], folders: set[Path]) -> None:
        """Set every older file aside, the marker first, and rename every new file but the marker."""
        older = [draft.target for draft in (*drafts[-1:], *drafts[:-1])] + self._stale
        for target in older:
            with writing(target):
                self._replaced[target] = self._drafts.get(target, Draft(target))
                set_aside(target)
        for draft in drafts[:-1]:
            with writing(draft.target):
                draft.place()
        for folder in folders:
            flush_folder(folder)

    def _clear(self) -> None:
        """Delete the older files after a complete exchange; else delete the new files and restore the older ones."""
        for draft in reversed(self._replaced.values()):
            if self._complete:
                with suppress(OSError):
                    draft.earlier.unlink(missing_ok=True)
            else:
                draft.restore()
        for draft in (*self._drafts.values(), *self._reserved.values()):
            draft.drop()
        if not self._complete:
            self._remove_folders()

    def _remove_folders(self) -> None:
        for folder in reversed(self._folders):
            try:
                folder.rmdir()
            except OSError:  # another process has written into it
                return


@contextmanager
def claimed(targets: Sequence[Path]) -> Iterator[Transaction]:
    """A transaction whose folder is made, and whose targets are locked, before anything is computed.

    Parameters
    ----------
    targets : sequence of Path
        As `Transaction.reserve` takes them; the folder of the last one is made.

    Raises
    ------
    OutputError
        When the folder cannot be written, or another process has claimed the targets.
    """
    with Transaction() as files:
        files.prepare(targets[-1].parent)
        files.reserve(targets)
        yield files


def write_atomic(path: Path, content: bytes) -> None:
    """Write one file under a temporary name beside it, flush it to disk, then rename it.

    Raises
    ------
    OutputError
        When it cannot be written; no partial file remains, and an older file of that name stays.
    """
    draft = Draft(path)
    with writing(path):
        try:
            draft.claim(_PATIENCE)
            draft.temporary.write_bytes(content)
            draft.flush()
            draft.place()
        finally:
            draft.drop()
        flush_folder(path.parent)
