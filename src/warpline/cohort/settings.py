"""What a worker must know about the run it serves, and where and when it works."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warpline.cohort.layout import WORK
from warpline.cohort.tasks import Warps

MOST_WRITERS = 6
"""Writing threads of a worker: each holds a pair in memory, and more than a GPU gives work for are of no use."""


@dataclass(frozen=True)
class Settings:
    """Small, and the same for every pair of a run.

    Parameters
    ----------
    root : str
        The output folder, absolute.
    run : str
        Token of the run, part of the names of its working files.
    backend : str, optional
        As for `warpline.register`.
    threads : int, optional
        CPU threads of one worker.
    warps : str
        How displacement fields are kept.
    time_limit : float
        Longest time in seconds that a pair may take for reading, for computing and for writing, each.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set.
    readers, writers : int
        Threads that read ahead of, and write behind, the computation.
    compute : callable, optional
        Stands in for `warpline.registration.compute`: benchmarks put a simulated device here, tests a fault.
    """

    root: str
    run: str
    backend: str | None = None
    threads: int | None = None
    warps: Warps = "rounded"
    time_limit: float = 3600.0
    geometry: str | None = None
    readers: int = 2
    writers: int = 2
    compute: Callable[..., Any] | None = None

    @property
    def stop_file(self) -> Path:
        """A file that asks every worker to begin no further pair."""
        return Path(self.root, WORK, f"{self.run}.stop")

    def journal(self, chunk: int) -> Path:
        """The journal of a chunk."""
        return Path(self.root, WORK, f"{self.run}-{chunk:06d}.jsonl")


def writers_for(cores: int) -> int:
    """Threads that write in a worker on a GPU which has so many cores: compressing takes most of what they do."""
    return min(MOST_WRITERS, max(Settings.writers, 3 * cores // 4))


def host() -> dict[str, Any]:
    """Where this process runs."""
    return {"name": platform.node(), "pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}


def now() -> str:
    """The time, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
