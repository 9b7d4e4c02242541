"""Whole runs: from a manifest or a BIDS folder to a folder of results with its tables and pages."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from warpline.backends import thread_count
from warpline.cohort import records
from warpline.cohort.checks import check_output
from warpline.cohort.devices import visible_gpus
from warpline.cohort.driver import Driver, Halt, Listener
from warpline.cohort.ending import INTERRUPTED, Ending, Say, Summary, plan_of
from warpline.cohort.executors import Executor, Inline
from warpline.cohort.layout import MANIFEST, WORK, describe_dataset
from warpline.cohort.lock import FolderLock, waiting
from warpline.cohort.manifest import Pair, read_manifest, write_manifest
from warpline.cohort.options import Options, Pages, Source, decided_in, load_pairs, plan_tasks, tasks_of
from warpline.cohort.redo import check_redo
from warpline.cohort.settings import Settings, now, writers_for
from warpline.cohort.state import Plan
from warpline.io.atomic import Transaction

__all__ = ["Summary", "plan_of", "report", "run"]


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
    root, options, say = Path(os.path.abspath(out)), options or Options(), say or (lambda text: None)
    pairs = load_pairs(source, options)
    check_output(root, source)
    tasks, decided = tasks_of(pairs, options), decided_in(pairs, options)
    with Transaction() as files:
        files.prepare(root / WORK)
    folders = [task.place.folder for task in tasks] if options.selected else None
    with FolderLock(root, options.shard, folders) as lock:
        plan = plan_tasks(tasks, root, options, decided)
        for line in check_redo(plan, root, warps=options.warps, named=options.recipe is not None, redo=options.redo):
            say(line)
        with lock.tables():
            describe_dataset(root, (task.place.source for task in tasks))
            write_manifest([*_others(root, pairs, options), *pairs], root / MANIFEST)
        records.forget_logs(root, plan)
        driver, started = _drive(plan, root, options, listen)
        with lock.tables():
            return Ending(plan, driver, options, started, _name_of(source)).write(last=lock.alone(), say=say)


def _name_of(source: Source) -> str:
    """What people call the input: its file or folder."""
    path = os.path.realpath(source) if isinstance(source, str | os.PathLike) else ""
    return os.path.basename(path)


def _others(root: Path, pairs: Sequence[Pair], options: Options) -> list[Pair]:
    """What earlier runs on other participants of the dataset left in the manifest, which a run on a few keeps."""
    if not options.selected or not (root / MANIFEST).exists():
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
    plan = plan_of(root)
    with Transaction() as files:
        files.prepare(root / WORK)
    with waiting(root):
        records.write_tables(root, plan)
        return write(root, pages=pages, say=say)


def _drive(plan: Plan, root: Path, options: Options, listen: Listener | None) -> tuple[Driver, str]:
    """Run what is to do; returns the driver that did, and when it began."""
    part = options.part
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
    driver = Driver(plan, settings, records.Books(root, part), max_failures=options.max_failures, listen=listen)
    driver.confirm()
    if plan.todo:
        with closing(_executor(driver, settings, options)) as executor, _interruptible(driver):
            driver.run(executor)
    else:
        driver.end()
    _sweep(root, part)
    return driver, started


def _executor(driver: Driver, settings: Settings, options: Options) -> Executor:
    gpus = visible_gpus(options.backend)
    workers = options.workers
    if workers is None:
        workers = len(gpus) if len(gpus) * options.workers_per_gpu > 1 else 0
    if options.scheduler is None and workers == 0:
        return Inline(_with_writers(settings, gpus, thread_count(options.threads)), driver.take)
    from warpline.cohort.pool import Pool, make_crew

    if options.scheduler is not None:
        return Pool(settings, scheduler=options.scheduler, credentials=options.credentials)
    crew = make_crew(workers, gpus, per_gpu=options.workers_per_gpu, threads=options.threads)
    return Pool(_with_writers(replace(settings, threads=crew.threads), gpus, crew.threads), crew=crew)


def _with_writers(settings: Settings, gpus: list[str], cores: int) -> Settings:
    """More writing threads where a GPU computes: it would wait for two of them."""
    return replace(settings, writers=writers_for(cores)) if gpus else settings


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


def _sweep(root: Path, part: str) -> None:
    """Take away what a killed driver left of its working files."""
    for path in (root / WORK).glob(f"{part}-*"):
        path.unlink(missing_ok=True)
