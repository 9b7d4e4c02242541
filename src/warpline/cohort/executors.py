"""Where chunks of pairs run: in this process, or in workers of a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from warpline.cohort.journal import JournalReader
from warpline.cohort.settings import Settings
from warpline.cohort.tasks import Task

Heard = Callable[[dict[str, object]], None]
"""Takes the outcome of a pair."""


@dataclass
class Chunk:
    """Pairs that one worker runs one after the other.

    Parameters
    ----------
    number : int
        Different for every chunk of a run.
    tasks : list of Task
        In this order.
    journal : Path
        Where the worker writes what it does.
    outcomes : list
        What the worker gave back in the end.
    """

    number: int
    tasks: list[Task]
    journal: Path
    outcomes: list[dict[str, object]] = field(default_factory=list)
    reader: JournalReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = JournalReader(self.journal)


class Executor(Protocol):
    """Runs chunks."""

    whole: bool
    """Whether one chunk should hold all pairs."""

    def workers(self) -> int:
        """How many workers there are now."""

    def submit(self, chunk: Chunk) -> None:
        """Hand over a chunk."""

    def wait(self, seconds: float) -> Sequence[tuple[Chunk, bool]]:
        """Chunks that have come back within some seconds, each with whether its worker was lost.

        Raises
        ------
        DeviceError
            When all workers are out of reach.
        """

    def close(self) -> None:
        """End all workers."""


class Inline:
    """Runs chunks in this process, without Dask: for a laptop, for one GPU, and under a debugger.

    Parameters
    ----------
    settings : Settings
        Of the run.
    heard : callable
        Hears every outcome, one at a time.
    """

    whole = True

    def __init__(self, settings: Settings, heard: Heard) -> None:
        self._settings = settings
        self._events = _Direct(heard)
        self._chunks: list[Chunk] = []

    def workers(self) -> int:
        """One: this process."""
        return 1

    def submit(self, chunk: Chunk) -> None:
        """Keep the chunk until `wait` runs it."""
        self._chunks.append(chunk)

    def wait(self, seconds: float) -> list[tuple[Chunk, bool]]:
        """Run what was handed over, however long it takes."""
        from warpline.cohort.worker import run_chunk

        ready, self._chunks = self._chunks, []
        for chunk in ready:
            run_chunk(chunk.tasks, self._settings, self._events)
        return [(chunk, False) for chunk in ready]

    def close(self) -> None:
        """Nothing to end."""


class _Direct:
    """Passes outcomes on at once."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._lock = threading.Lock()

    def begin(self, id: str, stage: str) -> None:
        """Nobody would read it after the process has died."""

    def end(self, id: str) -> None:
        """Nobody would read it after the process has died."""

    def outcome(self, record: dict[str, object]) -> None:
        with self._lock:
            self._heard(record)

    def leave(self, reason: str) -> None:
        """The process never ends itself here."""
