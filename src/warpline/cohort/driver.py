"""The driver: feeds chunks to workers, finds out who is to blame when one dies, and keeps the books."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warpline.cohort import records
from warpline.cohort.executors import Chunk, Executor
from warpline.cohort.failures import STOPPING, Failure
from warpline.cohort.layout import log_name
from warpline.cohort.notes import Notes
from warpline.cohort.rows import Row
from warpline.cohort.settings import Settings, now
from warpline.cohort.state import Plan
from warpline.cohort.tasks import Task
from warpline.cohort.worker import Outcome
from warpline.errors import DeviceError, OutputError

LARGEST_CHUNK = 64
SMALLEST_SAMPLE = 20
"""Finished pairs below which a run is not stopped for its failures."""

DEATHS = 2
"""Workers that one pair may take with it."""

STARTS = 3
"""Chunks in a row that workers may lose before any pair has begun."""

TICK = 1.0
"""Seconds between looks at the journals."""

REPORT_EVERY = 5.0
"""Seconds between two versions of ``progress.json``."""

Listener = Callable[[Mapping[str, Any]], None]
"""Hears the numbers of ``progress.json``."""


@dataclass(frozen=True)
class Halt:
    """Why a run ended before its last pair.

    Parameters
    ----------
    reason : str
        In words.
    exit_code : int
        What the command line returns.
    """

    reason: str
    exit_code: int


@dataclass
class _Tally:
    """Counts and seconds of this run."""

    ok: int = 0
    failed: int = 0
    seconds: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def finished(self) -> int:
        return self.ok + self.failed

    @property
    def elapsed(self) -> float:
        return (time.monotonic() if self.ended is None else self.ended) - self.began


class Driver:
    """Runs the pairs a plan has before it.

    Parameters
    ----------
    plan : Plan
        Kept up to date as pairs finish.
    settings : Settings
        Of the run.
    books : Books
        Where finished pairs and progress are written.
    max_failures : float
        Share of failed pairs, 0 to 1, above which the run stops.
    listen : callable, optional
        Hears how it goes.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        books: records.Books,
        *,
        max_failures: float = 0.3,
        listen: Listener | None = None,
    ) -> None:
        self.halt: Halt | None = None
        self.tally = _Tally()
        self.notes = Notes()
        self._plan = plan
        self._settings = settings
        self._root = Path(settings.root)
        self.books = books
        self._max_failures = max_failures
        self._listen = listen
        self._waiting = deque(plan.todo)
        self._pending = {task.id: task for task in plan.todo}
        self._suspects: deque[Task] = deque()
        self._deaths: Counter[str] = Counter()
        self._lost_at_start = 0
        self._chunks = 0
        self._flying: list[Chunk] = []
        self._workers = 1
        self._reported = 0.0

    def run(self, executor: Executor) -> None:
        """Run until nothing is left, or something stops the run; chunks in flight finish their pairs."""
        while True:
            self._workers = executor.workers()
            self._feed(executor)
            if not self._flying:
                break
            try:
                back = executor.wait(TICK)
            except DeviceError as error:
                self._hear()
                self.stop(Halt(str(error), error.exit_code))
                break
            self._hear()
            for chunk, lost in back:
                self._land(chunk, lost)
            self._tell()
        if self._pending and self.halt is None:
            self.stop(Halt(f"{len(self._pending)} pairs came back without an outcome; run it again", 1))
        self.end()

    def confirm(self) -> None:
        """Remember which inputs have other dates and the content of before."""
        with self._stopping_when_full():
            self.books.confirm(self._plan)

    def end(self) -> None:
        """Say that the run is over."""
        self.tally.ended = time.monotonic()
        self._tell(now=True)

    def stop(self, halt: Halt) -> None:
        """Begin no further pair; the first reason stays."""
        if self.halt is None:
            self.halt = halt
            with suppress(OSError):  # on a full disk workers notice by themselves
                self._settings.stop_file.touch()

    def take(self, outcome: Outcome) -> None:
        """Enter what became of a pair; an outcome that is known already changes nothing."""
        task = self._pending.get(outcome["id"])
        if task is not None:
            with self._stopping_when_full():
                self._take(task, outcome)
            self._tell()

    def _take(self, task: Task, outcome: Outcome) -> None:
        failure = Failure.from_record(outcome["failure"]) if outcome["status"] == "failed" else None
        if failure is not None and failure.kind in STOPPING:
            code = OutputError.exit_code if failure.kind == "output_error" else DeviceError.exit_code
            self.stop(Halt(f"{failure.message} (at {task.id})", code))
            return
        del self._pending[task.id]
        self.tally.seconds.update(outcome["seconds"])
        self._enter(task, outcome, failure)
        self._check_failures()

    def numbers(self) -> dict[str, Any]:
        """How it goes, as ``progress.json`` says it."""
        elapsed = self.tally.elapsed
        rate = self.tally.finished / elapsed if elapsed > 0 else 0.0
        left = len(self._pending)
        seconds = {f"{stage}_s": round(self.tally.seconds[stage], 3) for stage in ("read", "compute", "write")}
        return {
            "total": len(self._plan.tasks),
            "ok": self._plan.count("done"),
            "failed": self._plan.count("failed"),
            "todo": left,
            "skipped": len(self._plan.tasks) - left - self.tally.finished,
            "running": sum(len(chunk.reader.in_flight) for chunk in self._flying),
            "finished_now": self.tally.finished,
            "pairs_per_s": round(rate, 4),
            "eta_s": round(left / rate) if rate else None,
            "busy": round(min(1.0, self.tally.seconds["compute"] / (elapsed * self._workers)), 4) if elapsed else 0.0,
            **seconds,
            "elapsed_s": round(elapsed, 3),
            "workers": self._workers,
            "ended": self.tally.ended is not None,
            "updated": now(),
        }

    def _enter(self, task: Task, outcome: Outcome, failure: Failure | None) -> None:
        if failure is None:
            self.tally.ok += 1
            (self._root / log_name(task.id)).unlink(missing_ok=True)
            self._plan.states[task.id] = "done"
            self.books.remember(outcome)
            self.notes.add(outcome.get("notes", ()))
        else:
            self.tally.failed += 1
            attempts = self._deaths[task.id] + (failure.kind != "worker_lost")
            self._plan.states[task.id] = "failed"
            records.write_log(self._root, {**outcome, "attempts": attempts}, failure)
        self._plan.rows[task.id] = Row.of(outcome)

    def _check_failures(self) -> None:
        finished, failed = self.tally.finished, self.tally.failed
        if finished >= SMALLEST_SAMPLE and failed > self._max_failures * finished:
            self.stop(Halt(f"{failed} of the first {finished} pairs failed, more than {self._max_failures:.0%}", 4))

    @contextmanager
    def _stopping_when_full(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            self.stop(Halt(str(error), error.exit_code))

    # -- chunks ---------------------------------------------------------------------------------------------------

    def _feed(self, executor: Executor) -> None:
        most = 1 if executor.whole else self._workers + 2
        while self.halt is None and len(self._flying) < most:
            tasks = self._next(executor.whole)
            if not tasks:
                return
            self._chunks += 1
            chunk = Chunk(self._chunks, tasks, self._settings.journal(self._chunks))
            self._flying.append(chunk)
            executor.submit(chunk)

    def _next(self, whole: bool) -> list[Task]:
        """The next pairs: fewer at a time towards the end, so that all end together; suspects last and alone."""
        if self._waiting:
            share = len(self._waiting) // (4 * self._workers)
            size = len(self._waiting) if whole else min(max(share, 1), LARGEST_CHUNK)
            return [self._waiting.popleft() for _ in range(size)]
        return [self._suspects.popleft()] if self._suspects else []

    def _land(self, chunk: Chunk, lost: bool) -> None:
        for outcome in (*chunk.reader.news(), *chunk.outcomes):
            self.take(outcome)
        self._flying.remove(chunk)
        chunk.journal.unlink(missing_ok=True)
        if lost:
            self._blame(chunk)

    def _hear(self) -> None:
        for chunk in self._flying:
            for outcome in chunk.reader.news():
                self.take(outcome)

    def _blame(self, chunk: Chunk) -> None:
        """Sort the pairs of a chunk whose worker died: those in flight are suspects, the others simply run again."""
        left = [task for task in chunk.tasks if task.id in self._pending]
        suspects = [] if chunk.reader.leaves else [task for task in left if task.id in chunk.reader.in_flight]
        begun = bool(suspects or chunk.reader.leaves or len(left) < len(chunk.tasks))
        self._lost_at_start = 0 if begun else self._lost_at_start + 1
        if self._lost_at_start >= STARTS:
            self.stop(Halt(f"workers die before they begin a pair, {STARTS} times in a row; run with --workers 0", 6))
        for task in suspects:
            self._deaths[task.id] += 1
            stage = chunk.reader.in_flight[task.id]
            if self._deaths[task.id] >= DEATHS:
                self.take(_lost(task, f"its worker died {DEATHS} times, the last time alone with it, in {stage}"))
            else:
                self._suspects.append(task)
        self._waiting.extendleft(reversed([task for task in left if task not in suspects]))

    def _tell(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._reported < REPORT_EVERY:
            return
        self._reported = time.monotonic()
        numbers = self.numbers()
        with self._stopping_when_full():
            self.books.write_progress(self._plan, numbers)
        if self._listen is not None:
            self._listen(numbers)


def _lost(task: Task, message: str) -> Outcome:
    failure = Failure("worker_lost", message, message)
    about = {"id": task.id, "key": task.key, "recipe": task.recipe.name, "status": "failed"}
    return {**about, "failure": failure.as_record(), "seconds": {}, "host": None, "finished": now()}
