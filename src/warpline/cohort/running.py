"""Whole runs: from a manifest or a BIDS folder to a folder of results with its tables and pages."""

from __future__ import annotations

import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from warpline.cohort import records
from warpline.cohort.devices import visible_gpus
from warpline.cohort.driver import Driver, Halt, Listener
from warpline.cohort.executors import Executor, Inline
from warpline.cohort.failures import Group, grouped
from warpline.cohort.layout import MANIFEST, RUN, WORK, describe_dataset
from warpline.cohort.lock import FolderLock
from warpline.cohort.manifest import Pair, read_manifest, write_manifest
from warpline.cohort.options import Options, Pages, Source, load_pairs, plan_pairs
from warpline.cohort.results import read_json
from warpline.cohort.settings import Settings, now
from warpline.cohort.state import Plan, make_plan
from warpline.cohort.tasks import make_tasks
from warpline.errors import InputError, OutputError, UsageError
from warpline.io.atomic import Transaction
from warpline.recipe import Recipe

_log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Takes a line for the user."""

PARTIAL, INTERRUPTED = 3, 75
"""Exit codes: some pairs failed; stopped by a signal, to be resumed."""


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
        What ``progress.json`` says.
    halt : Halt or None
        Why it stopped early.
    exit_code : int
        What the command line returns.
    page : Path or None
        The page of the cohort.
    notes : tuple of str
        What the headers of this run's images leave open, with the number of pairs; notes that are alike are one.
    """

    counts: dict[str, int]
    finished: int
    failed: int
    verdicts: dict[str, int]
    groups: list[Group]
    numbers: dict[str, Any]
    halt: Halt | None
    exit_code: int
    page: Path | None
    notes: tuple[str, ...] = ()


def run(
    source: Source,
    out: str | os.PathLike[str],
    options: Options | None = None,
    *,
    listen: Listener | None = None,
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
    listen : callable, optional
        Hears the numbers of ``progress.json`` every few seconds.
    say : callable, optional
        Takes a line about what goes on after the last pair.

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
    """
    root, options = Path(os.path.abspath(out)), options or Options()
    pairs = load_pairs(source, options)
    _check_folder(root, source)
    with Transaction() as files:
        files.prepare(root / WORK)
    with FolderLock(root, options.shard):
        plan = plan_pairs(pairs, root, options)
        describe_dataset(root)
        write_manifest([*_others(root, pairs, options), *pairs], root / MANIFEST)
        records.forget_logs(root, plan)
        return _drive(plan, root, options, listen, say)


def _others(root: Path, pairs: Sequence[Pair], options: Options) -> list[Pair]:
    """What earlier runs on other participants of the dataset left in the manifest, which a run on a few keeps."""
    if not (options.participants or options.sessions) or not (root / MANIFEST).exists():
        return []
    asked = {pair.id for pair in pairs}
    return [pair for pair in read_manifest(root / MANIFEST) if pair.id not in asked]


def report(out: str | os.PathLike[str], *, pages: Pages = "flagged", say: Say | None = None) -> Path:
    """Write tables and pages anew from what lies in an output folder.

    Raises
    ------
    InputError
        When no run has worked there.
    """
    from warpline.cohort.pages import write

    root = Path(os.path.abspath(out))
    records.write_tables(root, plan_of(root))
    return write(root, pages=pages, say=say)


def plan_of(root: Path, *, checksums: bool = False) -> Plan:
    """The state of every pair of the last run in a folder; results count as they are, whatever became of the inputs.

    Outputs are compared with what was written, by size, and by checksum where asked.
    """
    if not (root / MANIFEST).exists():
        raise InputError(f"{root} has no {MANIFEST}: no cohort was run there; check the path")
    pairs = [replace(pair, recipe="") for pair in read_manifest(root / MANIFEST)]
    excluded = read_json(root / RUN).get("excluded")
    excluded = [id for id in excluded if isinstance(id, str)] if isinstance(excluded, list) else []
    tasks = make_tasks(pairs, recipe=Recipe(), warps="rounded")
    return make_plan(tasks, root, exclude=excluded, check_keys=False, checksums=checksums)


def _drive(plan: Plan, root: Path, options: Options, listen: Listener | None, say: Say | None) -> Summary:
    part = "{}of{}".format(*options.shard)
    _sweep(root, part)
    settings = Settings(
        root=str(root),
        run=f"{part}-{uuid.uuid4().hex[:8]}",
        backend=options.backend,
        threads=options.threads,
        warps=options.warps,
        time_limit=options.time_limit,
        geometry=options.geometry,
        compute=options.compute,
    )
    started = now()
    books = records.Books(root, part)
    driver = Driver(plan, settings, books, max_failures=options.max_failures, listen=listen)
    if plan.todo:
        with closing(_executor(driver, settings, options)) as executor, _interruptible(driver):
            driver.run(executor)
    else:
        driver.end()
    _sweep(root, part)
    if options.shard[1] > 1:  # the other shards went on meanwhile
        plan = make_plan(plan.tasks, root, exclude=plan.ids("excluded"))
    whole = plan_of(root) if options.participants or options.sessions else plan
    summary = _summary(plan, driver, options, *_tables(whole, driver, books, options, say))
    with suppress(OutputError):  # a full disk has stopped the run, and is told
        _write_run(plan, root, options, {"started": started, "ended": now(), "exit_code": summary.exit_code})
    return summary


def _tables(
    plan: Plan, driver: Driver, books: records.Books, options: Options, say: Say | None
) -> tuple[dict[str, int], Path | None]:
    """Write everything that people read; a disk too full for it stops the run, and its pairs stay done."""
    from warpline.cohort.pages import write

    try:
        verdicts = records.write_tables(books.root, plan)
        books.write_progress(plan, driver.numbers())
    except OutputError as error:
        driver.stop(Halt(str(error), error.exit_code))
        return {}, None
    try:
        return verdicts, write(books.root, pages=options.pages, say=say) if plan.rows else None
    except Exception as error:  # hours of results must not end in the failure of a page
        again = f"warpline cohort report {books.root}"
        _log.warning("the pages could not be written: %s: %s; try again: %s", type(error).__name__, error, again)
        return verdicts, None


def _summary(plan: Plan, driver: Driver, options: Options, verdicts: dict[str, int], page: Path | None) -> Summary:
    counts = {state: plan.count(state) for state in ("done", "failed", "new", "stale", "excluded")}
    allowed = options.allow_failures
    if isinstance(allowed, float):
        allowed *= len(plan.tasks)
    code = PARTIAL if counts["failed"] > allowed else 0
    return Summary(
        counts=counts,
        finished=driver.tally.finished,
        failed=driver.tally.failed,
        verdicts=verdicts,
        groups=grouped(records.failures(plan)),
        numbers=driver.numbers(),
        halt=driver.halt,
        exit_code=code if driver.halt is None else driver.halt.exit_code,
        page=page,
        notes=driver.notes.lines(),
    )


def _write_run(plan: Plan, root: Path, options: Options, ended: dict[str, Any]) -> None:
    recipes = {task.recipe.name: task.recipe.model_dump(mode="json") for task in plan.tasks}
    asked = {name: str(value) for name, value in vars(options).items() if value not in (None, (), "")}
    asked["recipe"] = Recipe.load(options.recipe).name
    records.write_run(root, {**ended, "settings": asked, "recipes": recipes, "excluded": plan.ids("excluded")})


def _executor(driver: Driver, settings: Settings, options: Options) -> Executor:
    gpus = visible_gpus(options.backend)
    workers = options.workers
    if workers is None:
        workers = len(gpus) if len(gpus) * options.workers_per_gpu > 1 else 0
    if options.scheduler is None and workers == 0:
        return Inline(settings, driver.take)
    from warpline.cohort.pool import Pool, make_crew

    if options.scheduler is not None:
        return Pool(settings, scheduler=options.scheduler, credentials=options.credentials)
    crew = make_crew(workers, gpus, per_gpu=options.workers_per_gpu, threads=options.threads)
    return Pool(replace(settings, threads=crew.threads), crew=crew)


@contextmanager
def _interruptible(driver: Driver) -> Iterator[None]:
    """Signals let the pairs in flight finish; a second Ctrl-C does not wait for them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _: object) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        driver.stop(Halt(f"stopped by {signal.Signals(number).name}", INTERRUPTED))

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_folder(root: Path, source: Source) -> None:
    if isinstance(source, str | os.PathLike) and root == Path(os.path.abspath(source)):
        raise UsageError(f"{root} is the input; choose another output folder")


def _sweep(root: Path, part: str) -> None:
    """Take away what a killed driver left of its working files."""
    for path in (root / WORK).glob(f"{part}-*"):
        path.unlink(missing_ok=True)
