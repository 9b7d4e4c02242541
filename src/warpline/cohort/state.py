"""What an output folder knows of each pair: done, failed, out of date, or still to do."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from warpline.cohort.json_lines import object_in, read_object
from warpline.cohort.layout import LOGS, WORK, log_name
from warpline.cohort.outputs import Folders, sizes_in
from warpline.cohort.rows import Row
from warpline.cohort.tasks import Task, checksum, fingerprint

State = Literal["done", "failed", "stale", "new", "excluded"]

_log = logging.getLogger(__name__)

JOURNAL = "results"
"""How the names of the journals of all runs begin, in the working folder."""


@dataclass
class Plan:
    """Which pairs a run has before it.

    Parameters
    ----------
    tasks : list of Task
        All pairs, in the order of the manifest.
    states : dict
        The state of each, by id.
    rows : dict
        What is known of done and failed pairs, by id.
    damaged : dict
        What is wrong with the outputs of pairs that were done, by id; they are done no longer.
    todo : list of Task
        What to run, in a good order: pairs of one fixed image together, alike sizes together.
    replaced : dict
        What is known of finished pairs that are out of date, by id.
    confirmed : list of str
        Ids of finished pairs whose inputs have other dates than before, and were found to be the same by checksum.
    again : frozenset of str, optional
        The pairs that were asked for though they are done, where only such were.
    """

    tasks: list[Task]
    states: dict[str, State] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    todo: list[Task] = field(default_factory=list)
    replaced: dict[str, Row] = field(default_factory=dict)
    confirmed: list[str] = field(default_factory=list)
    again: frozenset[str] | None = None

    def count(self, state: State) -> int:
        """How many pairs are in a state."""
        return sum(own == state for own in self.states.values())

    def enter(self, task: Task, state: State, row: Row | None) -> None:
        """Note the state of a pair."""
        self.states[task.id] = state
        if row is None:
            return
        if state in ("done", "failed"):
            self.rows[task.id] = row
        if state == "stale":
            self.replaced[task.id] = row
        if state == "done" and row.key != task.key and not differs_in_options(row.key, task):
            self.rows[task.id] = replace(row, key=task.key)
            self.confirmed.append(task.id)

    def ids(self, state: State) -> list[str]:
        """Which pairs are in a state."""
        return [id for id, own in self.states.items() if own == state]


def make_plan(
    tasks: Sequence[Task],
    root: Path,
    *,
    exclude: Iterable[str] = (),
    again: Iterable[str] | None = None,
    retry_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
    check_keys: bool = True,
    checksums: bool = False,
) -> Plan:
    """Look at what is there, and decide what to run.

    Parameters
    ----------
    tasks : sequence of Task
        All pairs.
    root : Path
        The output folder; it may not exist.
    exclude : iterable of str
        Ids to leave out.
    again : iterable of str, optional
        Ids to run though they are done; other pairs then stay done though they were made with another recipe.
    retry_failed : bool
        Run pairs again that failed before.
    shard : (i, n)
        Run every n-th pair only, beginning with the i-th.
    check_keys : bool
        Whether results of other inputs, recipes or numerics count as out of date.
    checksums : bool
        Whether outputs are compared by checksum too; by size they always are.
    """
    plan = Plan(list(tasks), again=None if again is None else frozenset(again))
    seen = _Folder(root, check_keys, checksums)
    left_out, wanted = frozenset(exclude), plan.again or frozenset()
    runnable = {"new", "stale"} | ({"failed"} if retry_failed else set())
    index, count = shard
    for number, task in enumerate(plan.tasks):
        mine = number % count == index - 1
        state, row = seen.state(task, compare=mine)
        if state == "stale" and plan.again is not None and row is not None and differs_in_options(row.key, task):
            state = "done"
        if state == "done" and row is not None and (damage := seen.damage(task, row)):
            state, plan.damaged[task.id] = "stale", damage
        if task.id in left_out:
            state = "excluded"
        plan.enter(task, state, row)
        if mine and (state in runnable or (task.id in wanted and state != "excluded")):
            plan.todo.append(task)
    _tell_damage(plan)
    plan.todo.sort(key=lambda task: (task.pair.fixed, task.recipe.name, task.bytes))
    return plan


class _Folder:
    """Reads states; journals of earlier runs spare reading every sidecar, and are never trusted without a look."""

    def __init__(self, root: Path, check_keys: bool, checksums: bool) -> None:
        self._root = root
        self._check_keys = check_keys
        self._checksums = checksums
        self._folders = Folders(root)
        self._remembered = read_rows(root)
        self._checksum = cache(checksum)  # many pairs share one fixed image
        try:
            self._failed = {entry.name.removesuffix(".json") for entry in os.scandir(root / LOGS)}
        except OSError:
            self._failed = set()

    def state(self, task: Task, *, compare: bool) -> tuple[State, Row | None]:
        """The state of a pair; inputs of another date are read and compared only if asked."""
        sidecar = self._root / task.place.sidecar
        size, time = fingerprint(str(sidecar))
        failure = self._failure(task, since=time)
        if failure is not None:
            return "failed", failure
        if size < 0:
            return "new", None
        row = self._remembered.get(task.id)
        if row is None or row.stat != (size, time):
            row = read_sidecar(sidecar)
        if row is None:
            return "new", None
        if not self._check_keys or row.key == task.key or (compare and self._same_content(task, row.key, sidecar)):
            return "done", row
        return "stale", row

    def damage(self, task: Task, row: Row) -> str:
        """What is wrong with the outputs of a pair that was done; empty when nothing is."""
        found = self._folders.damage(task, row.sizes)
        if not found and self._checksums:
            found = self._folders.changed(task, read_object(self._root / task.place.sidecar) or {})
        return found

    def _same_content(self, task: Task, key: str, sidecar: Path) -> bool:
        """Whether only the dates of the inputs differ: files that were copied or touched need no new run."""
        if differs_in_options(key, task):
            return False
        found = (read_object(sidecar) or {}).get("sha256")
        recorded: Mapping[str, str] = found if isinstance(found, dict) else {}
        sources = task.sources()
        try:
            return recorded.keys() == sources.keys() and all(
                recorded[name] == self._checksum(sources[name]) for name in sources
            )
        except OSError:
            return False

    def _failure(self, task: Task, *, since: int) -> Row | None:
        """The failure of a pair with these inputs; none when its sidecar, written at `since`, came later."""
        log = self._root / log_name(task.id)
        if task.id not in self._failed or fingerprint(str(log))[1] < since:
            return None
        record = read_object(log)
        if record is None or (self._check_keys and record.get("key") != task.key):
            return None
        return Row.read(record)


def _tell_damage(plan: Plan) -> None:
    if plan.damaged:
        id, damage = next(iter(plan.damaged.items()))
        _log.warning("%d pairs are done no longer, their outputs have changed; %s: %s", len(plan.damaged), id, damage)


def read_rows(root: Path) -> dict[str, Row]:
    """The last line about each pair in the journals of all runs."""
    rows: dict[str, Row] = {}
    for path in sorted((root / WORK).glob(f"{JOURNAL}*.jsonl"), key=lambda path: path.stat().st_mtime_ns):
        known = ((record["id"], Row.read(record)) for record in _lines(path))
        rows.update((id, row) for id, row in known if row is not None)
    return rows


def read_sidecar(path: Path) -> Row | None:
    """What a sidecar says of its pair; None when it is no whole sidecar."""
    report = read_object(path)
    if report is None or report.get("status") != "ok":
        return None
    recipe = report.get("recipe")
    name = recipe.get("name") if isinstance(recipe, dict) else None
    return Row.read({**report, "recipe": name, "sizes": sizes_in(report), "stat": fingerprint(str(path))})


def differs_in_options(key: str, task: Task) -> bool:
    """Whether a result was made with another recipe, other outputs or other numerics than a task asks for."""
    return key.partition("-")[0] != task.key.partition("-")[0]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a journal; lines that were cut off or damaged are left out."""
    with path.open("rb") as file:
        for line in file:
            row = object_in(line)
            if row is not None and isinstance(row.get("id"), str):
                yield row
