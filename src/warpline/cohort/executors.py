"""Where chunks of pairs run: in this process, or in workers that are described here and started by `dask_workers`."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from warpline.backends import thread_count
from warpline.cohort.journal import Events, JournalReader
from warpline.cohort.options import Options, WorkerSettings, writers_for
from warpline.cohort.plan import Task
from warpline.cohort.results import PairResult
from warpline.errors import UsageError

_NVIDIA_SMI_QUERY = ("--query-gpu=uuid", "--format=csv,noheader")


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
    results : list of PairResult
        What the worker returned in the end.
    """

    number: int
    tasks: list[Task]
    journal: Path
    results: list[PairResult] = field(default_factory=list)
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


# -- which workers ----------------------------------------------------------------------------------------------------


def visible_gpus(backend: str | None) -> list[str]:
    """What to put into ``CUDA_VISIBLE_DEVICES``, one entry per GPU; empty when `backend` uses none.

    An existing ``CUDA_VISIBLE_DEVICES``, such as SLURM sets, is shared out; else every GPU of this machine is used.
    """
    if (backend or os.environ.get("WARPLINE_BACKEND") or "auto") not in ("auto", "cuda"):
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [entry.strip() for entry in given.split(",") if entry.strip() and entry.strip() != "-1"]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    answer = subprocess.run([program, *_NVIDIA_SMI_QUERY], capture_output=True, text=True, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []


@dataclass(frozen=True)
class WorkerSpec:
    """Which workers to start.

    Parameters
    ----------
    gpus : tuple of str
        Entries for ``CUDA_VISIBLE_DEVICES``; empty for workers on the CPU.
    per_gpu : int
        Workers that share one GPU.
    processes : int
        Workers on the CPU.
    threads : int
        CPU threads of each worker.
    """

    gpus: tuple[str, ...]
    per_gpu: int
    processes: int
    threads: int

    def environments(self) -> dict[str, dict[str, str]]:
        """Name of each worker, to its environment."""
        threads = {"WARPLINE_THREADS": str(self.threads), "OMP_NUM_THREADS": str(self.threads)}
        if not self.gpus:
            return {f"cpu{number}": threads for number in range(self.processes)}
        places = ((gpu, share) for share in range(self.per_gpu) for gpu in self.gpus)
        names = {f"gpu{self.gpus.index(gpu)}-{share}": gpu for gpu, share in places}
        return {name: {**threads, "CUDA_VISIBLE_DEVICES": gpu} for name, gpu in names.items()}


def worker_spec(workers: int, gpus: list[str], *, per_gpu: int = 1, threads: int | None = None) -> WorkerSpec:
    """Share GPUs, or else CPU threads, among workers; `workers` counts GPUs where there are some."""
    if gpus and workers > len(gpus):
        raise UsageError(
            f"--workers {workers}, but {len(gpus)} GPUs can be seen; lower it, or share GPUs by --workers-per-gpu"
        )
    total = workers * per_gpu if gpus else workers
    share = max(1, thread_count() // total) if threads is None else threads
    return WorkerSpec(tuple(gpus[:workers]), per_gpu, workers, share)


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
