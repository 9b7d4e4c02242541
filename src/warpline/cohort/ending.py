"""How a run ends: its tables, its record and its pages, and what it says of itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from warpline.cohort import records
from warpline.cohort.driver import Driver, Halt
from warpline.cohort.failures import Group, grouped
from warpline.cohort.layout import MANIFEST, RUN
from warpline.cohort.manifest import read_manifest
from warpline.cohort.options import Options
from warpline.cohort.results import read_json
from warpline.cohort.settings import now
from warpline.cohort.state import Plan, make_plan
from warpline.cohort.tasks import make_tasks
from warpline.errors import InputError, OutputError
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


@dataclass(frozen=True)
class Ending:
    """A run whose last pair is done, or that was stopped.

    Parameters
    ----------
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

    plan: Plan
    driver: Driver
    options: Options
    started: str
    source: str

    @property
    def _interrupted(self) -> bool:
        return self.driver.halt is not None and self.driver.halt.exit_code == INTERRUPTED

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
            plan = make_plan(plan.tasks, self.driver.books.root, exclude=plan.ids("excluded"), again=plan.again)
        self._record(plan)
        whole = plan_of(self.driver.books.root) if self.options.selected else plan
        verdicts = {} if shared and self._interrupted else self._tables(whole)
        page = None
        if self._interrupted or not last:
            why = (
                "the run was stopped" if self._interrupted else "other runs go on in this folder, the last writes them"
            )
            say(f"no pages yet: {why}; to write them now: warpline cohort report {self.driver.books.root}")
        elif whole.rows:
            left = whole.count("new") + whole.count("stale")
            page = self._pages(finished=self.driver.halt is None and not left, say=say)
        if self.options.selected and not shared:
            self.driver.books.fold()
        return self._summary(plan, verdicts, page)

    def _tables(self, plan: Plan) -> dict[str, int]:
        """Write the tables; a disk too full for them stops the run, and its pairs stay done."""
        try:
            verdicts = records.write_tables(self.driver.books.root, plan)
            self.driver.books.write_progress(plan, self.driver.numbers())
        except OutputError as error:
            self.driver.stop(Halt(str(error), error.exit_code))
            self._record(self.plan)
            return {}
        return verdicts

    def _pages(self, *, finished: bool, say: Say) -> Path | None:
        """Write the pages; those of pairs only where no pair is left."""
        from warpline.cohort.pages import write

        root = self.driver.books.root
        try:
            return write(root, pages=self.options.pages, draw=finished, say=say)
        except Exception as error:  # hours of results must not end in the failure of a page
            again = f"warpline cohort report {root}"
            _log.warning("the pages could not be written: %s: %s; try again: %s", type(error).__name__, error, again)
            return None

    def _record(self, plan: Plan) -> None:
        """Write ``run.json``; what it said of pairs that this run left alone stays."""
        root, options = self.driver.books.root, self.options
        before = read_json(root / RUN) if options.selected else {}
        own = {task.id for task in plan.tasks}
        excluded = [id for id in before.get("excluded") or () if id not in own] + plan.ids("excluded")
        recipes = {task.recipe.name: task.recipe.model_dump(mode="json") for task in plan.tasks}
        asked = {name: str(value) for name, value in vars(options).items() if value not in (None, (), "", {}, [])}
        asked["recipe"] = options.load_recipe().name
        when = {"started": self.started, "ended": now(), "exit_code": self._exit_code(plan)}
        recipes = {**(before.get("recipes") or {}), **recipes}
        with suppress(OutputError):  # a full disk has stopped the run, and is told
            what = {"settings": asked, "recipes": recipes, "excluded": excluded}
            records.write_run(root, {"source": self.source, **when, **what})

    def _exit_code(self, plan: Plan) -> int:
        if self.driver.halt is not None:
            return self.driver.halt.exit_code
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
            groups=grouped(records.failures(plan)),
            numbers=self.driver.numbers(),
            halt=self.driver.halt,
            exit_code=self._exit_code(plan),
            page=page,
            notes=self.driver.notes.lines(),
        )


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
