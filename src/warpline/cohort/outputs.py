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
        self._folder: tuple[str, dict[str, int]] = ("", {})

    def damage(self, task: Task, sizes: Mapping[str, int]) -> str:
        """What is wrong with the first output that has not the size it was written with; empty when all have."""
        if not sizes:
            return ""
        there, names = self._sizes(task.place.folder), task.place.names()
        for kind, size in sizes.items():
            name = names[kind].name if kind in names else ""
            found = there.get(name)
            if name and found != size:
                return f"{name} is missing" if found is None else f"{name} holds {found} of {size} bytes"
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

    def _sizes(self, folder: str) -> dict[str, int]:
        """Sizes of the files in a folder; pairs come in the order of their folders, so that one listing is kept."""
        if self._folder[0] != folder:
            try:
                with os.scandir(self._root / folder) as entries:
                    sizes = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
            except OSError:
                sizes = {}
            self._folder = (folder, sizes)
        return self._folder[1]
