"""Whole runs: from a manifest or a BIDS folder to a folder of results with its tables and pages."""

from __future__ import annotations

import logging
import os
import platform
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from warpline.cohort.checks import added_metrics, check_order, check_output, check_redo
from warpline.cohort.driver import Driver, RunProgressCallback, StopReason
from warpline.cohort.executors import executor_for
from warpline.cohort.failures import Group, group_failures
from warpline.cohort.journal import RunStore
from warpline.cohort.json_files import read_object, write_json
from warpline.cohort.layout import MANIFEST, RUN, WORK, describe_dataset
from warpline.cohort.lock import FolderLock, waiting
from warpline.cohort.manifest import Pair, read_manifest, write_manifest
from warpline.cohort.methods import write_methods
from warpline.cohort.options import Options, Pages, Source, decided_ids, load_pairs, plan_tasks, tasks_of
from warpline.cohort.plan import Plan, make_plan, plan_of
from warpline.cohort.results import PairResult, count_verdicts, judge_results, now, write_tables
from warpline.errors import OutputError
from warpline.io.atomic import Transaction
from warpline.metrics import check_metric
from warpline.recipe import NUMERICS

_log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Called with a line for the user."""

PARTIAL, INTERRUPTED = 3, 75
"""Exit codes: some pairs failed; stopped by a signal, to be resumed."""

_STOPPING = ("SIGINT", "SIGTERM", "SIGUSR1")
"""Signals that end a run once the pairs in flight are done, by name: Windows has not all of them."""


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Parameters
    ----------
    counts : dict
        Pairs in each state: done, failed, new, stale, excluded.
    finished, failed : int
        Pairs that this run ended, and how many of them without a result.
    verdicts : dict
        Done pairs of each verdict.
    groups : list of Group
        Failures that are alike.
    numbers : dict
        The content of ``progress.json``.
    stop_reason : StopReason or None
        Why it stopped early.
    exit_code : int
        What the command line returns.
    page : Path or None
        The page of the cohort.
    notes : tuple of str
        What the headers of this run's images leave open, with the number of pairs; notes that are alike are one.

    Examples
    --------
    >>> from warpline import cohort
    >>> summary = cohort.run("cohort.tsv", "out")  # doctest: +SKIP
    >>> summary.counts, summary.exit_code  # doctest: +SKIP
    ({'done': 98, 'failed': 2, 'new': 0, 'stale': 0, 'excluded': 0}, 3)
    """

    counts: dict[str, int]
    finished: int
    failed: int
    verdicts: dict[str, int]
    groups: list[Group]
    numbers: dict[str, Any]
    stop_reason: StopReason | None
    exit_code: int
    page: Path | None
    notes: tuple[str, ...] = ()


def run(
    source: Source,
    out: str | os.PathLike[str],
    options: Options | None = None,
    *,
    progress: RunProgressCallback | None = None,
    say: Say | None = None,
) -> Summary:
    """Register every pair that is not done; the same call again goes on where an earlier one ended.

    Call it under ``if __name__ == "__main__":`` when it starts workers: they import the main module.

    Parameters
    ----------
    source : path or sequence of Pair
        A manifest (``.tsv``, ``.csv``), a BIDS folder, or pairs.
    out : path
        The output folder.
    options : Options, optional
        What to run, where, and what to do about failures.
    progress : callable, optional
        Called with the numbers of ``progress.json`` every few seconds.
    say : callable, optional
        Called with lines about what goes on after the last pair.

    Returns
    -------
    Summary
        Also when pairs failed or the run was stopped: see its `exit_code`.

    Raises
    ------
    UsageError
        When an option is not allowed, or another run works on the folder.
    InputError
        When the manifest or the BIDS folder cannot be used.
    OutputError
        When the output folder cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image, Recipe, cohort, write_image
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = (np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))).astype(np.float32)
    >>> for name, shift in (("fixed", 0), ("a", 1), ("b", 2)):
    ...     write_image(Image.from_array(np.roll(shape, shift, axis=0)), f"{name}.nii")
    >>> pairs = [cohort.Pair(id, f"{id}.nii", "fixed.nii") for id in ("a", "b")]
    >>> recipe = Recipe.load("rigid").with_options("initialise.rotations=false")
    >>> cohort.run(pairs, "out", cohort.Options(recipe=recipe, threads=1, pages="none")).counts["done"]
    2
    """
    root, options, say = Path(os.path.abspath(out)), options or Options(), say or (lambda text: None)
    check_order(Path(out), source)
    pairs = load_pairs(source, options)
    check_output(root, source)
    tasks, decisions = tasks_of(pairs, options), decided_ids(pairs, options)
    with Transaction() as files:
        files.prepare(root / WORK)
    folders = [task.outputs.folder for task in tasks] if options.selected else None
    with FolderLock(root, options.shard, folders) as lock:
        plan = plan_tasks(tasks, root, options, decisions)
        for line in check_redo(plan, root, warps=options.warps, named=options.recipe is not None, redo=options.redo):
            say(line)
        with lock.tables():
            describe_dataset(root, (task.outputs.source for task in tasks))
            write_manifest([*_others(root, pairs, options), *pairs], root / MANIFEST)
        driver, started = _drive(plan, root, options, progress)
        with lock.tables():
            return RunEnd(root, plan, driver, options, started, _name_of(source)).write(last=lock.alone(), say=say)


def _name_of(source: Source) -> str:
    """Name of the file or folder of the input."""
    path = os.path.realpath(source) if isinstance(source, str | os.PathLike) else ""
    return os.path.basename(path)


def _others(root: Path, pairs: Sequence[Pair], options: Options) -> list[Pair]:
    """Pairs of other participants in the manifest of earlier runs, which a run on selected participants keeps."""
    if not options.selected or not (root / MANIFEST).exists():
        return []
    asked = {pair.id for pair in pairs}
    return [pair for pair in read_manifest(root / MANIFEST) if pair.id not in asked]


def report(out: str | os.PathLike[str], *, pages: Pages = "flagged", say: Say | None = None) -> Path:
    """Write tables and pages anew from what lies in an output folder; returns the page of the cohort.

    Parameters
    ----------
    out : path
        The output folder of a run.
    pages : {"flagged", "all", "none"}
        Which pairs get a page of their own.
    say : callable, optional
        Called with a line for each step.

    Raises
    ------
    InputError
        When no run has worked there.

    Examples
    --------
    >>> from warpline import cohort
    >>> cohort.report("out")  # doctest: +SKIP
    PosixPath('/data/out/report/index.html')
    """
    from warpline.cohort.pages import write

    root = Path(os.path.abspath(out))
    plan = plan_of(root)
    with Transaction() as files:
        files.prepare(root / WORK)
    with waiting(root):
        results = judge_results(plan.results(root))
        write_tables(root, results)
        write_methods(root, results)
        return write(root, results, pages=pages, say=say)


def _drive(plan: Plan, root: Path, options: Options, progress: RunProgressCallback | None) -> tuple[Driver, str]:
    """Run what is to do; returns the driver that did, and when it began."""
    part = options.part
    _remove_working_files(root, part)
    settings = options.worker_settings(str(root), f"{part}-{uuid.uuid4().hex[:8]}")
    started = now()
    store = RunStore(root, part)
    store.remove_logs(plan.ids("done"))
    driver = Driver(plan, settings, store, max_failures=options.max_failures, progress=progress)
    driver.confirm()
    if plan.todo:
        with closing(executor_for(settings, options, driver.take)) as executor, _interruptible(driver):
            for name in added_metrics(plan.todo):
                executor.call_everywhere(check_metric, name)
            driver.run(executor)
    else:
        driver.end()
    _remove_working_files(root, part)
    return driver, started


@contextmanager
def _interruptible(driver: Driver) -> Iterator[None]:
    """Signals let the pairs in flight finish; a second Ctrl-C does not wait for them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _: object) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        driver.stop(StopReason(f"stopped by {signal.Signals(number).name}", INTERRUPTED))

    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _remove_working_files(root: Path, part: str) -> None:
    """Remove what a killed driver left of its working files."""
    for path in (root / WORK).glob(f"{part}-*"):
        path.unlink(missing_ok=True)


# -- the end of a run -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunEnd:
    """A run whose last pair is done, or that was stopped: what is still to write.

    Parameters
    ----------
    root : Path
        The output folder.
    plan : Plan
        Of the run, kept up to date by its driver.
    driver : Driver
        That has ended.
    options : Options
        Of the run.
    started : str
        When.
    source : str
        Name of the manifest or the dataset.
    """

    root: Path
    plan: Plan
    driver: Driver
    options: Options
    started: str
    source: str

    @property
    def _interrupted(self) -> bool:
        return self.driver.stop_reason is not None and self.driver.stop_reason.exit_code == INTERRUPTED

    def write(self, *, last: bool, say: Say) -> Summary:
        """Write what people read, as far as it is this run's to write; the tables of the folder must be held.

        A run that was stopped by a signal has seconds: it writes no pages, and where other shards go on no tables.

        Parameters
        ----------
        last : bool
            Whether no other run is at work on the folder.
        say : callable
            Takes a line for the user.
        """
        shared = self.options.shard[1] > 1
        plan = self.plan
        if shared and not self._interrupted:  # the other shards went on meanwhile
            plan = make_plan(plan.tasks, self.root, exclude=plan.ids("excluded"), again=plan.again)
        self._record(plan)
        whole = plan_of(self.root) if self.options.selected else plan
        tables = not (shared and self._interrupted)
        results = judge_results(whole.results(self.root)) if tables else []
        written = tables and self._write_tables(results)
        page = None
        if self._interrupted or not last:
            why = (
                "the run was stopped" if self._interrupted else "other runs go on in this folder, the last writes them"
            )
            say(f"no pages yet: {why}; to write them now: warpline cohort report {self.root}")
        elif whole.known:
            left = whole.count("new") + whole.count("stale")
            page = self._write_pages(results, finished=self.driver.stop_reason is None and not left, say=say)
        if self.options.selected and not shared:
            self.driver.store.merge()
        return self._summary(plan, count_verdicts(results) if written else {}, page)

    def _write_tables(self, results: Sequence[PairResult]) -> bool:
        """Write the tables; a disk too full for them stops the run, and its pairs stay done."""
        try:
            write_tables(self.root, results)
            write_methods(self.root, results)
            groups = group_failures((one.id, one.failure) for one in results if one.failure is not None)
            self.driver.store.write_progress(self.driver.numbers(), groups)
        except OutputError as error:
            self.driver.stop(StopReason(str(error), error.exit_code))
            self._record(self.plan)
            return False
        return True

    def _write_pages(self, results: Sequence[PairResult], *, finished: bool, say: Say) -> Path | None:
        """Write the pages; those of pairs only where no pair is left."""
        from warpline.cohort.pages import write

        try:
            return write(self.root, results, pages=self.options.pages, draw=finished, say=say)
        except Exception as error:  # hours of results must not end in the failure of a page
            again = f"warpline cohort report {self.root}"
            _log.warning("the pages could not be written: %s: %s; try again: %s", type(error).__name__, error, again)
            return None

    def _record(self, plan: Plan) -> None:
        """Write ``run.json``; what it said of pairs that this run left alone stays."""
        options = self.options
        before = read_object(self.root / RUN) if options.selected else {}
        own = {task.id for task in plan.tasks}
        excluded = [id for id in before.get("excluded") or () if id not in own] + plan.ids("excluded")
        recipes = {task.recipe.name: task.recipe.model_dump(mode="json") for task in plan.tasks}
        asked = {name: str(value) for name, value in vars(options).items() if value not in (None, (), "", {}, [])}
        asked["recipe"] = options.load_recipe().name
        when = {"started": self.started, "ended": now(), "exit_code": self._exit_code(plan)}
        recipes = {**(before.get("recipes") or {}), **recipes}
        with suppress(OutputError):  # a full disk has stopped the run and is reported
            what = {"settings": asked, "recipes": recipes, "excluded": excluded}
            write_json(self.root / RUN, {**_environment(), "source": self.source, **when, **what})

    def _exit_code(self, plan: Plan) -> int:
        if self.driver.stop_reason is not None:
            return self.driver.stop_reason.exit_code
        allowed = self.options.allow_failures
        if isinstance(allowed, float):
            allowed *= len(plan.tasks)
        return PARTIAL if plan.count("failed") > allowed else 0

    def _summary(self, plan: Plan, verdicts: dict[str, int], page: Path | None) -> Summary:
        return Summary(
            counts={state: plan.count(state) for state in ("done", "failed", "new", "stale", "excluded")},
            finished=self.driver.tally.finished,
            failed=self.driver.tally.failed,
            verdicts=verdicts,
            groups=group_failures(plan.failures()),
            numbers=self.driver.numbers(),
            stop_reason=self.driver.stop_reason,
            exit_code=self._exit_code(plan),
            page=page,
            notes=self.driver.notes.lines(),
        )


def _environment() -> dict[str, Any]:
    """Version, command and machine of this process, for ``run.json``."""
    slurm = {name: value for name, value in os.environ.items() if name in ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID")}
    own = {"warpline": version("warpline"), "numerics": NUMERICS, "command": sys.argv, "host": platform.node()}
    return {**own, **slurm}
