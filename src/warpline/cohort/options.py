"""Options of a run, and the settings that its workers get."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from warpline.backends import thread_count
from warpline.cohort.checks import check_options
from warpline.cohort.layout import WORK
from warpline.cohort.plan import Warps
from warpline.errors import UsageError
from warpline.recipe import Recipe

RECIPE = "syn"
"""What runs where no recipe is named."""

Pages = Literal["flagged", "all", "none"]
"""Which pairs get a page of their own."""

MAX_WRITERS = 6
"""Writing threads of a worker: each holds a pair in memory, and a GPU does not fill more than these."""


@dataclass(frozen=True)
class Options:
    """Options of a run.

    Parameters
    ----------
    fixed : path, optional
        The fixed image of every pair that names none.
    recipe : str, path or Recipe, optional
        Of every pair that names none; ``"syn"`` when None.
    participants, sessions : sequence of str
        Of a BIDS folder; all when empty.
    suffix : str
        Of the images in a BIDS folder.
    bids_filter : path, optional
        A filter file as fMRIPrep takes it: which images of a BIDS folder are taken.
    entities : dict
        The same for single entities: ``{"desc": "preproc", "space": None}``.
    space : str
        Label of the fixed image in output names, where a pair gives none.
    warps : {"rounded", "forward", "full", "none"}
        How displacement fields are kept: rounded to 1/64 mm, and to 1/2 mm in the air around both images, which takes
        a fifth of the room; the same without the inverse, which `warpline.invert` computes; with all bits; or not at
        all.
    backend : str, optional
        As for `warpline.register`.
    threads : int, optional
        CPU threads of each worker; None shares the cores out.
    workers : int, optional
        Worker processes, or GPUs to use; 0 runs in this process. None: every GPU where there are several, else 0.
    workers_per_gpu : int
        Worker processes that share each GPU.
    scheduler : str, optional
        Address or file of a Dask scheduler whose workers to use. It, they and its other clients run code as you.
    credentials : path, optional
        PEM file with the private key, its certificate and the authority's, for a scheduler with TLS.
    shard : (i, n)
        Run every n-th pair only, beginning with the i-th.
    retry_failed : bool
        Run pairs again that failed before.
    redo : bool
        Replace finished pairs that were made with another recipe, other outputs or older numerics; without it such a
        run is refused, unless `recipe` is given and little is lost.
    exclude_from, retry_from : path, optional
        Tables of decisions: leave out what was decided ``fail``; run again what was decided ``review`` or ``fail``,
        and no other finished pair.
    geometry : {"sform", "qform"}, optional
        Which matrix of the images' NIfTI headers to take where both are set; the sform when None.
    time_limit : float
        Longest time of a pair, in seconds, for reading, computing and writing, each.
    max_failures : float
        Share of failed pairs, 0 to 1, above which the run stops.
    allow_failures : int or float
        Failed pairs up to which the exit code stays 0; a float is a share of all pairs.
    pages : {"flagged", "all", "none"}
        Which pairs get a page of their own.
    checksums : bool
        Compare the outputs of done pairs by checksum too; by size they always are.

    Raises
    ------
    UsageError
        When a value is not allowed.

    Examples
    --------
    >>> from warpline.cohort import Options
    >>> asked = Options(fixed="MNI.nii.gz", recipe="syn-fast", workers=4, shard=(1, 2))
    >>> asked.load_recipe().name, asked.part
    ('syn-fast', '1of2')
    """

    fixed: str | os.PathLike[str] | None = None
    recipe: str | Path | Recipe | None = None
    participants: Sequence[str] = ()
    sessions: Sequence[str] = ()
    suffix: str = "T1w"
    bids_filter: str | os.PathLike[str] | None = None
    entities: Mapping[str, Any] = field(default_factory=dict)
    space: str = ""
    warps: Warps = "rounded"
    backend: str | None = None
    threads: int | None = None
    workers: int | None = None
    workers_per_gpu: int = 1
    scheduler: str | None = None
    credentials: str | os.PathLike[str] | None = None
    shard: tuple[int, int] = (1, 1)
    retry_failed: bool = False
    redo: bool = False
    exclude_from: str | os.PathLike[str] | None = None
    retry_from: str | os.PathLike[str] | None = None
    geometry: str | None = None
    time_limit: float = 3600.0
    max_failures: float = 0.3
    allow_failures: float = 0
    pages: Pages = "flagged"
    checksums: bool = False

    def __post_init__(self) -> None:
        check_options(vars(self))

    @property
    def selected(self) -> bool:
        """Whether only some participants or sessions of a dataset are run."""
        return bool(self.participants or self.sessions)

    @property
    def part(self) -> str:
        """Names the part of a cohort that is run, the same for the same part: ``1of1`` for all of it."""
        index, count = self.shard
        if not self.selected or count > 1:
            return f"{index}of{count}"
        chosen = repr((sorted(self.participants), sorted(self.sessions)))
        return f"some{hashlib.blake2b(chosen.encode(), digest_size=6).hexdigest()}"

    def load_recipe(self) -> Recipe:
        """The recipe of every pair that names none."""
        return Recipe.load(RECIPE if self.recipe is None else self.recipe)

    def worker_settings(self, root: str, run: str) -> WorkerSettings:
        """What the workers of a run get, see `WorkerSettings`."""
        shared = {name: getattr(self, name) for name in ("backend", "threads", "warps", "time_limit", "geometry")}
        return WorkerSettings(root, run, **shared)


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
