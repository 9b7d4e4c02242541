"""Options of a run, and the pairs, tasks and plan that a source has under them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from warpline.cohort import bids
from warpline.cohort.checks import check_metrics, check_options
from warpline.cohort.decisions import Decisions, read_decided_ids
from warpline.cohort.manifest import PATHS, Pair, abbreviate, check_ids, read_manifest
from warpline.cohort.participants import PARTICIPANTS, join_participants
from warpline.cohort.plan import ROUNDED, Plan, Task, Warps, make_plan, make_tasks
from warpline.cohort.results import RESULT_COLUMNS
from warpline.cohort.worker_settings import WorkerSettings
from warpline.errors import InputError, UsageError
from warpline.recipe import Recipe
from warpline.registration.preparation import check_libraries

_log = logging.getLogger(__name__)

RECIPE = "syn"
"""What runs where no recipe is named."""

Pages = Literal["flagged", "all", "none"]
"""Which pairs get a page of their own."""

Source = str | os.PathLike[str] | Sequence[Pair]
"""A manifest, a BIDS folder, or pairs."""


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
    participants_table : path, optional
        Table with a column ``participant_id``, whose other columns are appended to those of the pairs; a BIDS folder's
        own ``participants.tsv`` when None.
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
        a fifth of the room; the same without the inverse, which `warpline.invert` computes, and the velocity field;
        with all bits; or not at all. A velocity field is kept as they are.
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
    measures : bool
        Whether every pair is judged, measured and drawn; without it there are no verdicts. For callers that judge all
        pairs of a run themselves.
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
    participants_table: str | os.PathLike[str] | None = None
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
    measures: bool = True
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
        shared = {
            name: getattr(self, name) for name in ("backend", "threads", "warps", "time_limit", "geometry", "measures")
        }
        return WorkerSettings(root, run, **shared)


# -- from a source to a plan -------------------------------------------------------------------------------------------


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
    _warn_of_same_images(pairs)
    taken = next((name for pair in pairs for name in pair.columns if name in RESULT_COLUMNS), None)
    if taken is not None:
        raise InputError(f"column {taken!r} of the manifest is one of the results; rename it: 'given_{taken}'")
    pairs = _with_participants(pairs, source, options)
    return [replace(pair, space=pair.space or options.space) for pair in pairs] if options.space else pairs


def _warn_of_same_images(pairs: Sequence[Pair]) -> None:
    """Name the pairs whose two images are one file."""
    same = [pair.id for pair in pairs if os.path.normpath(pair.moving) == os.path.normpath(pair.fixed)]
    if same:
        _log.warning("%s: the moving image is the fixed image itself, so its results say nothing", abbreviate(same))


def _with_participants(pairs: list[Pair], source: Source, options: Options) -> list[Pair]:
    """The pairs with the columns of the table of participants that was given, or that a BIDS folder has."""
    if options.participants_table is not None:
        return join_participants(pairs, options.participants_table)
    own = os.path.join(source, PARTICIPANTS) if isinstance(source, str | os.PathLike) else ""
    if not os.path.isfile(own):
        return pairs
    try:
        return join_participants(pairs, own)
    except InputError as error:  # nobody asked for it
        _log.warning("%s; the results have no columns of it", error)
        return pairs


def tasks_of(pairs: Sequence[Pair], options: Options) -> list[Task]:
    """The tasks of some pairs; nothing is written.

    Raises
    ------
    UsageError, InputError
        When a recipe or its metric is unknown, or ids would give the same or too long names.
    """
    recipe = options.load_recipe()
    if not recipe.budget.is_empty and options.warps in ROUNDED:
        _log.warning(
            "with a budget displacements are written unrounded, since its limits hold in the files: "
            "they take four times the space"
        )
    tasks = make_tasks(pairs, recipe=recipe, warps=options.warps, geometry=options.geometry)
    for asked in {task.recipe.prepare for task in tasks if options.scheduler is None}:
        check_libraries(asked)  # workers of a scheduler may have others than this process
    if options.scheduler is None:
        check_metrics(tasks)
    return tasks


def plan_pairs(pairs: Sequence[Pair], root: Path, options: Options) -> Plan:
    """What there is to do for these pairs in an output folder; nothing is written."""
    return plan_tasks(tasks_of(pairs, options), root, options, decided_ids(pairs, options))


def decided_ids(pairs: Sequence[Pair], options: Options) -> Decisions:
    """Ids from the tables of decisions that the options name; a selection of pairs has fewer by intention.

    Raises
    ------
    InputError
        When a table cannot be read.
    """
    known = None if options.selected else {pair.id for pair in pairs}
    return read_decided_ids(options.exclude_from, options.retry_from, known)


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
