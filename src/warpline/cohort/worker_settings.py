"""Which workers a run starts, and the settings that they get."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpline.backends import thread_count
from warpline.cohort.layout import WORK
from warpline.cohort.plan import Warps
from warpline.errors import UsageError

MAX_WRITERS = 6
"""Writing threads of a worker: each holds a pair in memory, and a GPU does not fill more than these."""


@dataclass(frozen=True)
class WorkerSettings:
    """The configuration of a run that every worker gets; small, and the same for all pairs.

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
    measures : bool
        Whether maps are judged and measured, and a thumbnail is drawn.
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
    measures: bool = True
    compute: Callable[..., Any] | None = None

    @property
    def stop_file(self) -> Path:
        """A file whose existence stops workers from starting further pairs."""
        return Path(self.root, WORK, f"{self.run}.stop")

    def journal(self, chunk: int) -> Path:
        """The journal of a chunk."""
        return Path(self.root, WORK, f"{self.run}-{chunk:06d}.jsonl")


def writers_for(cores: int) -> int:
    """Writing threads of a worker on a GPU with so many cores: most of their time goes into compression."""
    return min(MAX_WRITERS, max(WorkerSettings.writers, 3 * cores // 4))


# -- which workers ----------------------------------------------------------------------------------------------------

_NVIDIA_SMI_QUERY = ("--query-gpu=uuid", "--format=csv,noheader")


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
