"""Options of a run, the settings that its workers get, and the pairs and plan that follow from both."""

from __future__ import annotations

import csv
import hashlib
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from warpline.cohort import bids
from warpline.cohort.checks import check_options
from warpline.cohort.layout import WORK
from warpline.cohort.manifest import PATHS, Pair, abbreviate, check_ids, read_manifest
from warpline.cohort.outliers import VERDICTS
from warpline.cohort.plan import Plan, Task, Warps, make_plan, make_tasks
from warpline.cohort.results import RESULT_COLUMNS
from warpline.cohort.tables import read_lines, unescape
from warpline.errors import InputError, UsageError
from warpline.recipe import Recipe

_log = logging.getLogger(__name__)

RECIPE = "syn"
"""What runs where no recipe is named."""

Source = str | os.PathLike[str] | Sequence[Pair]
"""A manifest, a BIDS folder, or pairs."""

Decisions = tuple[Sequence[str], Sequence[str] | None]
"""Ids to leave out, and ids to run again though they are done, by tables of decisions; None where no such table."""

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
    compute : callable, optional
        Stands in for `warpline.registration.compute`.

    Raises
    ------
    UsageError
        When a value is not allowed.
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
    compute: Any = None

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


def load_pairs(source: Source, options: Options) -> list[Pair]:
    """The pairs of a manifest, a BIDS folder or a list, with absolute paths.

    Raises
    ------
    InputError, UsageError
        When they cannot be read, or a fixed image is missing.
    """
    fixed = None if options.fixed is None else os.path.abspath(options.fixed)
    if isinstance(source, str | os.PathLike):
        pairs = _pairs_in(source, fixed, options)
    else:
        pairs = [replace(pair, fixed=pair.fixed or fixed or "") for pair in source]
        check_ids(pairs, "pairs")
        pairs = [_absolute(pair) for pair in pairs]
    absent = next((pair.id for pair in pairs if not pair.fixed), None)
    if absent is not None:
        raise UsageError(f"pair {absent!r} has no fixed image; give one in the manifest, or --fixed for all")
    taken = next((name for pair in pairs for name in pair.columns if name in RESULT_COLUMNS), None)
    if taken is not None:
        raise InputError(f"column {taken!r} of the manifest is one of the results; rename it: 'given_{taken}'")
    return [replace(pair, space=pair.space or options.space) for pair in pairs] if options.space else pairs


def tasks_of(pairs: Sequence[Pair], options: Options) -> list[Task]:
    """The tasks of some pairs; nothing is written.

    Raises
    ------
    UsageError, InputError
        When a recipe is unknown, or ids would give the same or too long names.
    """
    return make_tasks(pairs, recipe=options.load_recipe(), warps=options.warps, geometry=options.geometry)


def read_decided_ids(pairs: Sequence[Pair], options: Options) -> Decisions:
    """Ids from the tables of decisions; a warning names ids that are none of the pairs.

    Raises
    ------
    InputError
        When a table cannot be read.
    """
    exclude = () if options.exclude_from is None else read_decisions(options.exclude_from, ("fail",))
    again = None if options.retry_from is None else read_decisions(options.retry_from, ("review", "fail"))
    _name_unknown(pairs, options, {"exclude-from": exclude, "retry-from": again or ()})
    return exclude, again


def read_decisions(path: str | os.PathLike[str], wanted: Collection[str]) -> list[str]:
    """Ids that were decided as one of `wanted`; all ids of a table that has no column ``decision``.

    Parameters
    ----------
    path : path
        Tab-separated, with a column ``id`` and usually ``decision``.
    wanted : collection of str
        Some of `warpline.cohort.outliers.VERDICTS`.

    Raises
    ------
    InputError
        When it cannot be read, has no column ``id``, or holds another decision.
    """
    name = os.fspath(path)
    try:
        header, *lines = list(read_lines(Path(path))) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{name} cannot be read as a table of decisions: {reason}") from None
    rows = [dict(zip_longest(header, line[: len(header)], fillvalue="")) for line in lines if line]
    if rows and "id" not in header:
        raise InputError(f"{name} has no column id; it has {', '.join(header)}")
    other = sorted({row["decision"] for row in rows if "decision" in row} - {*VERDICTS, ""})
    if other:
        raise InputError(f"{name} has the decision {other[0]!r}; {', '.join(VERDICTS)} are allowed")
    return [unescape(row["id"]) for row in rows if "decision" not in row or row["decision"] in wanted]


def plan_pairs(pairs: Sequence[Pair], root: Path, options: Options) -> Plan:
    """What there is to do for these pairs in an output folder; nothing is written."""
    return plan_tasks(tasks_of(pairs, options), root, options, read_decided_ids(pairs, options))


def plan_tasks(tasks: Sequence[Task], root: Path, options: Options, decided: Decisions) -> Plan:
    """The same from tasks and decisions that were read before."""
    exclude, again = decided
    return make_plan(
        tasks,
        root,
        exclude=exclude,
        again=again,
        retry_failed=options.retry_failed,
        shard=options.shard,
        checksums=options.checksums,
    )


def _name_unknown(pairs: Sequence[Pair], options: Options, decided: Mapping[str, Sequence[str]]) -> None:
    """Warn of decisions about pairs that are none of this cohort; a selection of it has fewer by intention."""
    known = {pair.id for pair in pairs}
    for name, ids in decided.items():
        unknown = [id for id in ids if id not in known]
        if unknown and not options.selected:
            _log.warning("--%s names %s, no pairs of this cohort", name, abbreviate(unknown))


def _pairs_in(source: str | os.PathLike[str], fixed: str | None, options: Options) -> list[Pair]:
    if not os.path.isdir(source):
        if options.selected or options.entities or options.bids_filter is not None:
            raise UsageError("participants, sessions and entities belong to a BIDS folder; a manifest has rows")
        return read_manifest(source, fixed=fixed)
    if fixed is None:
        raise UsageError("a BIDS folder needs a fixed image for all subjects: --fixed FILE")
    chosen = {"participants": options.participants, "sessions": options.sessions}
    wanted = bids.Filter.of(options.suffix, options.entities, options.bids_filter)
    return bids.scan(source, fixed=fixed, wanted=wanted, **chosen)


def _absolute(pair: Pair) -> Pair:
    return replace(pair, **{name: os.path.abspath(path) for name in PATHS if (path := getattr(pair, name))})
