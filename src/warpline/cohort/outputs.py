"""Whether the outputs of a pair are still what its run wrote: by size always, by checksum on request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warpline.cohort.tasks import Task, checksum


def sizes_in(report: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of every output that a sidecar tells of, by what the output is."""
    return {kind: entry["bytes"] for kind, entry in (report.get("files") or {}).items()}


class Folders:
    """Sizes of the files in an output folder: each folder is listed once, which network file systems answer at once.

    Parameters
    ----------
    root : Path
        The output folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pair = ""
        self._listed: dict[Path, dict[str, int]] = {}

    def damage(self, task: Task, sizes: Mapping[str, int]) -> str:
        """What is wrong with the first output that has not the size it was written with; empty when all have."""
        if not sizes:
            return ""
        if self._pair != task.place.folder:
            self._pair, self._listed = task.place.folder, {}
        for kind, path in task.place.names().items():
            size, found = sizes.get(kind), self._sizes(path.parent).get(path.name) if kind in sizes else None
            if found != size:
                return f"{path.name} is missing" if found is None else f"{path.name} holds {found} of {size} bytes"
        return ""

    def changed(self, task: Task, report: Mapping[str, Any]) -> str:
        """What is wrong with the first output that has not the checksum in its sidecar; empty when all have."""
        names = task.place.names()
        for kind, entry in (report.get("files") or {}).items():
            try:
                if kind in names and checksum(str(self._root / names[kind])) != entry["sha256"]:
                    return f"{names[kind].name} has changed since it was written"
            except OSError as error:
                return f"{names[kind].name} cannot be read: {error.strerror}"
        return ""

    def _sizes(self, folder: Path) -> dict[str, int]:
        """Sizes of the files in a folder; pairs come in the order of theirs, so that only those of one are kept."""
        if folder not in self._listed:
            try:
                with os.scandir(self._root / folder) as entries:
                    self._listed[folder] = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
            except OSError:
                self._listed[folder] = {}
        return self._listed[folder]
