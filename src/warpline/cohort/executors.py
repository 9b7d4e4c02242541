"""Where chunks of pairs run: in this process, or in workers that are described here and started by `dask_workers`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from warpline.backends import thread_count
from warpline.cohort.journal import Events
from warpline.cohort.options import Options
from warpline.cohort.plan import Chunk
from warpline.cohort.results import PairResult
from warpline.cohort.worker_settings import WorkerSettings, visible_gpus, worker_spec, writers_for


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

    def call_everywhere(self, check: Callable[..., None], *arguments: Any) -> None:
        """Call a check in every process that runs pairs; it raises what one of them raises."""

    def close(self) -> None:
        """End all workers."""


class Inline:
    """Runs chunks in this process, without Dask: for a laptop, for one GPU, and under a debugger.

    Parameters
    ----------
    settings : WorkerSettings
        Of the run.
    receive : callable
        Called with every result, one at a time.
    """

    whole = True

    def __init__(self, settings: WorkerSettings, receive: Callable[[PairResult], None]) -> None:
        self._settings = settings
        self._events = _DirectEvents(receive)
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

    def call_everywhere(self, check: Callable[..., None], *arguments: Any) -> None:
        """Call it here: there is no other process."""
        check(*arguments)

    def close(self) -> None:
        """Do nothing: there is no other process."""


class _DirectEvents(Events):
    """Passes results on at once; there is no other process that would read the rest."""

    def __init__(self, receive: Callable[[PairResult], None]) -> None:
        self._receive = receive
        self._lock = threading.Lock()

    def outcome(self, result: PairResult) -> None:
        with self._lock:
            self._receive(result)


def executor_for(settings: WorkerSettings, options: Options, receive: Callable[[PairResult], None]) -> Executor:
    """What runs the pairs of a run, as its options ask; `receive` gets the results of pairs run in this process."""
    gpus, workers = visible_gpus(options.backend), options.workers
    if workers is None:
        workers = len(gpus) if len(gpus) * options.workers_per_gpu > 1 else 0
    if options.scheduler is None and workers == 0:
        return Inline(_with_writers(settings, gpus, thread_count(options.threads)), receive)
    from warpline.cohort.dask_workers import DaskPool

    if options.scheduler is not None:
        return DaskPool(settings, scheduler=options.scheduler, credentials=options.credentials)
    spec = worker_spec(workers, gpus, per_gpu=options.workers_per_gpu, threads=options.threads)
    return DaskPool(_with_writers(replace(settings, threads=spec.threads), gpus, spec.threads), spec=spec)


def _with_writers(settings: WorkerSettings, gpus: list[str], cores: int) -> WorkerSettings:
    """More writing threads where a GPU computes: it would wait for two of them."""
    return replace(settings, writers=writers_for(cores)) if gpus else settings
