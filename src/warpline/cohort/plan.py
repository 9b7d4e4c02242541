"""Tasks, pairs with the key of their result, and the plan: which are done, failed, out of date or still to do."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

from warpline.cohort.failures import Failure
from warpline.cohort.journal import JournalReader, read_journals
from warpline.cohort.json_files import read_object
from warpline.cohort.layout import (
    LOGS,
    MANIFEST,
    RUN,
    OutputCheck,
    OutputPaths,
    check_output_paths,
    checksum,
    fingerprint,
    log_name,
    output_paths,
    sizes_in,
)
from warpline.cohort.manifest import PATHS, Pair, read_manifest
from warpline.cohort.results import Host, PairResult, Status, now
from warpline.errors import InputError
from warpline.io.relative_paths import relative_path
from warpline.recipe import NUMERICS, Recipe

_log = logging.getLogger(__name__)

Warps = Literal["full", "rounded", "forward", "none"]
"""How displacement fields are written: all bits, rounded (a fifth of the size, see `rounding.round_fields`), rounded
and without the inverse and the velocity field, or not at all."""

ROUNDED: tuple[Warps, ...] = ("rounded", "forward")
"""Those that are rounded, where the recipe sets no budget."""


@dataclass(frozen=True, slots=True)
class Task:
    """One pair, ready to run.

    Parameters
    ----------
    pair : Pair
        Its row of the manifest, with absolute paths.
    recipe : Recipe
        Loaded, so that workers read no recipe files.
    outputs : OutputPaths
        Where the outputs go.
    key : str
        ``<options>-<inputs>``: a digest of recipe, numerics and outputs, and one of size and time of every input.
    bytes : int
        Size of the moving image's file.
    """

    pair: Pair
    recipe: Recipe
    outputs: OutputPaths
    key: str
    bytes: int

    @property
    def id(self) -> str:
        """What the pair is called."""
        return self.pair.id

    def sources(self) -> dict[str, str]:
        """The paths of all inputs, by what they are."""
        return dict(sources_of(self.pair))

    def result(self) -> PairResult:
        """A result of this pair that ends here and now, still without numbers."""
        return PairResult(self.id, "ok", self.key, self.recipe.name, host=Host.here(), finished=now())

    def failed(self, failure: Failure) -> PairResult:
        """A result of this pair that fails here and now."""
        return replace(self.result(), status="failed", failure=failure)


def make_tasks(pairs: Sequence[Pair], *, recipe: Recipe, warps: Warps, geometry: str | None = None) -> list[Task]:
    """Tasks of all pairs, in their order.

    Raises
    ------
    UsageError
        When a recipe is unknown, or two pairs would write the same names.
    """
    outputs = [output_paths(pair) for pair in pairs]
    check_output_paths(pairs, outputs)
    load, stat = cache(Recipe.load), cache(fingerprint)
    digest = cache(partial(options_key, warps=warps, geometry=geometry))
    tasks = []
    for pair, paths in zip(pairs, outputs, strict=True):
        own = load(pair.recipe) if pair.recipe else recipe
        # The moving image is seldom shared: keeping its fingerprint would only take memory.
        prints = {name: (fingerprint if name == "moving" else stat)(path) for name, path in sources_of(pair)}
        inputs = _digest(";".join(f"{name}={size}:{time}" for name, (size, time) in prints.items()))
        tasks.append(Task(pair, own, paths, f"{digest(own)}-{inputs}", prints["moving"][0]))
    return tasks


def options_key(recipe: Recipe, warps: Warps, geometry: str | None = None) -> str:
    """Digest of everything but the inputs that makes a result what it is; the recipe's name does not."""
    asked = "" if geometry is None else f"{geometry}|"
    empty = {
        name for name in ("budget", "prepare", "uncertainty") if getattr(recipe, name).is_empty
    }  # without, results keep their key
    return _digest(f"{NUMERICS}|{warps}|{asked}{recipe.model_dump_json(exclude={'name', *empty})}")


def sources_of(pair: Pair) -> Iterator[tuple[str, str]]:
    """What each input of a pair is, and its path."""
    return ((name, path) for name in PATHS if (path := getattr(pair, name)))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# -- the plan ---------------------------------------------------------------------------------------------------------

State = Literal["done", "failed", "stale", "new", "excluded"]


_STATUS: dict[State, Status] = {"done": "ok", "failed": "failed", "excluded": "excluded"}
"""Column ``status`` of the results by state, ``"todo"`` for the others."""


@dataclass
class Plan:
    """Which pairs a run has before it.

    Parameters
    ----------
    tasks : list of Task
        All pairs, in the order of the manifest.
    states : dict
        The state of each, by id.
    known : dict
        The results of done and failed pairs, by id.
    damaged : dict
        What is wrong with the outputs of pairs that were done, by id; they are done no longer.
    todo : list of Task
        What to run, in a good order: pairs of one fixed image together, alike sizes together.
    replaced : dict
        The results of finished pairs that are out of date, by id.
    confirmed : list of str
        Ids of finished pairs whose inputs have other dates than before, and were found to be the same by checksum.
    again : frozenset of str, optional
        The pairs that were asked for though they are done, where only such were.
    """

    tasks: list[Task]
    states: dict[str, State] = field(default_factory=dict)
    known: dict[str, PairResult] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    todo: list[Task] = field(default_factory=list)
    replaced: dict[str, PairResult] = field(default_factory=dict)
    confirmed: list[str] = field(default_factory=list)
    again: frozenset[str] | None = None

    def count(self, state: State) -> int:
        """How many pairs are in a state."""
        return sum(own == state for own in self.states.values())

    def enter(self, task: Task, state: State, result: PairResult | None) -> None:
        """Note the state of a pair."""
        self.states[task.id] = state
        if result is None:
            return
        if state in ("done", "failed"):
            self.known[task.id] = result
        if state == "stale":
            self.replaced[task.id] = result
        if state == "done" and result.key != task.key and not differs_in_options(result.key, task):
            self.known[task.id] = replace(result, key=task.key)
            self.confirmed.append(task.id)

    def ids(self, state: State) -> list[str]:
        """Which pairs are in a state."""
        return [id for id, own in self.states.items() if own == state]

    def failures(self) -> Iterator[tuple[str, Failure]]:
        """Id and failure of every failed pair."""
        failed = ((id, self.known[id].failure) for id in self.ids("failed"))
        return ((id, failure) for id, failure in failed if failure is not None)

    def results(self, root: Path) -> list[PairResult]:
        """A result for every pair in an output folder, without verdicts."""
        return [self._result(task, root) for task in self.tasks]

    def _result(self, task: Task, root: Path) -> PairResult:
        state = self.states[task.id]
        status = _STATUS.get(state, "todo")
        known = self.known.get(task.id) if state in ("done", "failed") else None
        return replace(
            known or PairResult(task.id, status),
            status=status,
            fixed=relative_path(task.pair.fixed, root),
            moving=relative_path(task.pair.moving, root),
            sidecar=task.outputs.sidecar if state == "done" else None,
            columns=task.pair.columns,
        )


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
    reader = _StateReader(root, check_keys, checksums)
    left_out, wanted = frozenset(exclude), plan.again or frozenset()
    runnable = {"new", "stale"} | ({"failed"} if retry_failed else set())
    index, count = shard
    for number, task in enumerate(plan.tasks):
        mine = number % count == index - 1
        state, result = reader.state(task, compare=mine)
        if state == "stale" and plan.again is not None and result is not None and differs_in_options(result.key, task):
            state = "done"
        if state == "done" and result is not None and (damage := reader.damage(task, result)):
            state, plan.damaged[task.id] = "stale", damage
        if task.id in left_out:
            state = "excluded"
        plan.enter(task, state, result)
        if mine and (state in runnable or (task.id in wanted and state != "excluded")):
            plan.todo.append(task)
    _warn_of_damage(plan)
    plan.todo.sort(key=lambda task: (task.pair.fixed, task.recipe.name, task.bytes))
    return plan


class _StateReader:
    """Reads the states of pairs; a sidecar is read only where the journals of earlier runs do not have its result."""

    def __init__(self, root: Path, check_keys: bool, checksums: bool) -> None:
        self._root = root
        self._check_keys = check_keys
        self._checksums = checksums
        self._outputs = OutputCheck(root)
        self._known = read_journals(root)
        self._checksum = cache(checksum)  # many pairs share one fixed image
        try:
            self._failed = {entry.name.removesuffix(".json") for entry in os.scandir(root / LOGS)}
        except OSError:
            self._failed = set()

    def state(self, task: Task, *, compare: bool) -> tuple[State, PairResult | None]:
        """The state of a pair; inputs of another date are read and compared only if asked."""
        sidecar = self._root / task.outputs.sidecar
        size, time = fingerprint(str(sidecar))
        failure = self._failure(task, since=time)
        if failure is not None:
            return "failed", failure
        if size < 0:
            return "new", None
        result = self._known.get(task.id)
        if result is None or result.stat != (size, time):
            result = read_sidecar(sidecar)
        if result is None:
            return "new", None
        if not self._check_keys or result.key == task.key:
            return "done", result
        return "done" if compare and self._same_content(task, result.key, sidecar) else "stale", result

    def damage(self, task: Task, result: PairResult) -> str:
        """What is wrong with the outputs of a pair that was done; empty when nothing is."""
        found = self._outputs.damage(task.outputs, result.sizes)
        if not found and self._checksums:
            found = self._outputs.changed(task.outputs, read_object(self._root / task.outputs.sidecar))
        return found

    def _same_content(self, task: Task, key: str, sidecar: Path) -> bool:
        """Whether only the dates of the inputs differ: files that were copied or touched need no new run."""
        if differs_in_options(key, task):
            return False
        found = read_object(sidecar).get("sha256")
        recorded: Mapping[str, str] = found if isinstance(found, dict) else {}
        sources = task.sources()
        try:
            return recorded.keys() == sources.keys() and all(
                recorded[name] == self._checksum(sources[name]) for name in sources
            )
        except OSError:
            return False

    def _failure(self, task: Task, *, since: int) -> PairResult | None:
        """The failure of a pair with these inputs; none when its sidecar, written at `since`, came later."""
        log = self._root / log_name(task.id)
        if task.id not in self._failed or fingerprint(str(log))[1] < since:
            return None
        record = read_object(log)
        if self._check_keys and record.get("key") != task.key:
            return None
        return PairResult.from_record(record)


def _warn_of_damage(plan: Plan) -> None:
    if plan.damaged:
        id, damage = next(iter(plan.damaged.items()))
        _log.warning("%d pairs are done no longer, their outputs have changed; %s: %s", len(plan.damaged), id, damage)


def read_sidecar(path: Path) -> PairResult | None:
    """The result that a sidecar holds; None when it is no whole sidecar."""
    report = read_object(path)
    if report.get("status") != "ok":
        return None
    recipe = report.get("recipe")
    name = recipe.get("name") if isinstance(recipe, dict) else None
    try:
        sizes = sizes_in(report)
    except (AttributeError, LookupError, TypeError):
        return None
    own = {"recipe": name, "seconds": {}, "sizes": sizes, "stat": fingerprint(str(path))}
    return PairResult.from_record({**report, **own})


def differs_in_options(key: str, task: Task) -> bool:
    """Whether a result was made with another recipe, other outputs or other numerics than a task asks for."""
    return key.partition("-")[0] != task.key.partition("-")[0]


def plan_of(root: Path, *, checksums: bool = False) -> Plan:
    """The state of every pair of the last run in a folder; results count as they are, whatever became of the inputs.

    Outputs are compared with what was written, by size, and by checksum where asked.
    """
    if not (root / MANIFEST).exists():
        raise InputError(f"{root} has no {MANIFEST}: no cohort was run there; check the path")
    pairs = [replace(pair, recipe="") for pair in read_manifest(root / MANIFEST)]
    excluded = read_object(root / RUN).get("excluded")
    excluded = [id for id in excluded if isinstance(id, str)] if isinstance(excluded, list) else []
    tasks = make_tasks(pairs, recipe=Recipe(), warps="rounded")
    return make_plan(tasks, root, exclude=excluded, check_keys=False, checksums=checksums)


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
