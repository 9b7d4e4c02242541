"""The driver: sends chunks to workers, finds the pair that ended a worker, and stores results and progress."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from warpline.cohort.executors import Executor
from warpline.cohort.failures import STOPPING, Failure, group_failures, signature_of
from warpline.cohort.journal import STAGES, RunStore
from warpline.cohort.plan import Chunk, Plan, Task
from warpline.cohort.results import PairResult, now
from warpline.cohort.worker_settings import WorkerSettings
from warpline.errors import DeviceError, OutputError

MAX_CHUNK = 64
"""Pairs of the largest chunk."""

MIN_FINISHED = 20
"""Finished pairs below which a run is not stopped for its failures."""

MAX_CRASHES = 2
"""Workers that may crash with a pair in flight before the pair fails."""

MAX_LOST_STARTS = 3
"""Chunks in a row that may be lost before any of their pairs began."""

POLL_SECONDS = 1.0
"""Seconds between two reads of the journals."""

PROGRESS_SECONDS = 5.0
"""Seconds between two versions of ``progress.json``."""

RunProgressCallback = Callable[[Mapping[str, Any]], None]
"""Called with the numbers of ``progress.json``."""


@dataclass(frozen=True)
class StopReason:
    """Why a run ended before its last pair.

    Parameters
    ----------
    reason : str
        In words.
    exit_code : int
        What the command line returns.

    Examples
    --------
    >>> from warpline.cohort import StopReason
    >>> StopReason("stopped by SIGTERM", exit_code=75).reason
    'stopped by SIGTERM'
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
    settings : WorkerSettings
        Of the run.
    store : RunStore
        Where results and progress are written.
    max_failures : float
        Share of failed pairs, 0 to 1, above which the run stops.
    progress : callable, optional
        Called with the numbers of ``progress.json`` every few seconds.
    """

    def __init__(
        self,
        plan: Plan,
        settings: WorkerSettings,
        store: RunStore,
        *,
        max_failures: float = 0.3,
        progress: RunProgressCallback | None = None,
    ) -> None:
        self.stop_reason: StopReason | None = None
        self.tally = _Tally()
        self.notes = HeaderNotes()
        self._plan = plan
        self._settings = settings
        self.store = store
        self._max_failures = max_failures
        self._progress = progress
        self._waiting = deque(plan.todo)
        self._pending = {task.id: task for task in plan.todo}
        self._suspects: deque[Task] = deque()
        self._crashes: Counter[str] = Counter()
        self._lost_starts = 0
        self._chunks = 0
        self._in_flight: list[Chunk] = []
        self._workers = 1
        self._reported = 0.0

    def run(self, executor: Executor) -> None:
        """Run until nothing is left, or something stops the run; chunks in flight finish their pairs."""
        while True:
            self._workers = executor.workers()
            self._submit(executor)
            if not self._in_flight:
                break
            try:
                back = executor.wait(POLL_SECONDS)
            except DeviceError as error:
                self._read_journals()
                self.stop(StopReason(str(error), error.exit_code))
                break
            self._read_journals()
            for chunk, lost in back:
                self._collect(chunk, lost)
            self._report_progress()
        if self._pending and self.stop_reason is None:
            self.stop(StopReason(f"{len(self._pending)} pairs came back without an outcome; run it again", 1))
        self.end()

    def confirm(self) -> None:
        """Store that finished pairs belong to inputs of other dates, so that these are compared only once."""
        with self._stopping_when_full():
            for id in self._plan.confirmed:
                self.store.append(self._plan.known[id])

    def end(self) -> None:
        """Say that the run is over."""
        self.tally.ended = time.monotonic()
        self._report_progress(now=True)

    def stop(self, reason: StopReason) -> None:
        """Begin no further pair; the first reason stays."""
        if self.stop_reason is None:
            self.stop_reason = reason
            with suppress(OSError):  # on a full disk workers notice by themselves
                self._settings.stop_file.touch()

    def take(self, result: PairResult) -> None:
        """Enter the result of a pair; a second one changes nothing."""
        task = self._pending.get(result.id)
        if task is not None:
            with self._stopping_when_full():
                self._take(task, result)
            self._report_progress()

    def _take(self, task: Task, result: PairResult) -> None:
        failure = result.failure
        if failure is not None and failure.kind in STOPPING:
            code = OutputError.exit_code if failure.kind == "output_error" else DeviceError.exit_code
            self.stop(StopReason(f"{failure.message} (at {task.id})", code))
            return
        del self._pending[task.id]
        self.tally.seconds.update(result.seconds)
        self._enter(result)
        self._check_failures()

    def numbers(self) -> dict[str, Any]:
        """The content of ``progress.json``: counts, rates and times."""
        elapsed = self.tally.elapsed
        rate = self.tally.finished / elapsed if elapsed > 0 else 0.0
        left = len(self._pending)
        seconds = {f"{stage}_s": round(self.tally.seconds[stage], 3) for stage in STAGES}
        return {
            "total": len(self._plan.tasks),
            "ok": self._plan.count("done"),
            "failed": self._plan.count("failed"),
            "todo": left,
            "skipped": len(self._plan.tasks) - left - self.tally.finished,
            "running": sum(len(chunk.reader.in_flight) for chunk in self._in_flight),
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

    def _enter(self, result: PairResult) -> None:
        id, failure = result.id, result.failure
        self._plan.states[id] = "done" if failure is None else "failed"
        self._plan.known[id] = result.compact()
        if failure is None:
            self.tally.ok += 1
            self.store.remove_log(id)
            self.store.append(result)
            self.notes.add(result.notes)
        else:
            self.tally.failed += 1
            self.store.write_log(result, attempts=self._crashes[id] + (failure.kind != "worker_lost"))

    def _check_failures(self) -> None:
        finished, failed = self.tally.finished, self.tally.failed
        if finished >= MIN_FINISHED and failed > self._max_failures * finished:
            self.stop(
                StopReason(f"{failed} of the first {finished} pairs failed, more than {self._max_failures:.0%}", 4)
            )

    @contextmanager
    def _stopping_when_full(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            self.stop(StopReason(str(error), error.exit_code))

    # -- chunks ---------------------------------------------------------------------------------------------------

    def _submit(self, executor: Executor) -> None:
        most = 1 if executor.whole else self._workers + 2
        while self.stop_reason is None and len(self._in_flight) < most:
            tasks = self._next(executor.whole)
            if not tasks:
                return
            self._chunks += 1
            chunk = Chunk(self._chunks, tasks, self._settings.journal(self._chunks))
            self._in_flight.append(chunk)
            executor.submit(chunk)

    def _next(self, whole: bool) -> list[Task]:
        """The next pairs: fewer at a time towards the end, so that all end together; suspects last and alone."""
        if self._waiting:
            share = len(self._waiting) // (4 * self._workers)
            size = len(self._waiting) if whole else min(max(share, 1), MAX_CHUNK)
            return [self._waiting.popleft() for _ in range(size)]
        return [self._suspects.popleft()] if self._suspects else []

    def _collect(self, chunk: Chunk, lost: bool) -> None:
        for result in (*chunk.reader.news(), *chunk.results):
            self.take(result)
        self._in_flight.remove(chunk)
        chunk.journal.unlink(missing_ok=True)
        if lost:
            self._handle_crash(chunk)

    def _read_journals(self) -> None:
        for chunk in self._in_flight:
            for result in chunk.reader.news():
                self.take(result)

    def _handle_crash(self, chunk: Chunk) -> None:
        """Queue the pairs of a chunk whose worker died: those in flight last and alone, the others at once."""
        left = [task for task in chunk.tasks if task.id in self._pending]
        suspects = [] if chunk.reader.leaves else [task for task in left if task.id in chunk.reader.in_flight]
        begun = bool(suspects or chunk.reader.leaves or len(left) < len(chunk.tasks))
        self._lost_starts = 0 if begun else self._lost_starts + 1
        if self._lost_starts >= MAX_LOST_STARTS:
            self.stop(
                StopReason(
                    f"workers die before they begin a pair, {MAX_LOST_STARTS} times in a row; run with --workers 0", 6
                )
            )
        for task in suspects:
            self._crashes[task.id] += 1
            stage = chunk.reader.in_flight[task.id]
            if self._crashes[task.id] >= MAX_CRASHES:
                self.take(_lost(task, f"its worker died {MAX_CRASHES} times, the last time alone with it, in {stage}"))
            else:
                self._suspects.append(task)
        self._waiting.extendleft(reversed([task for task in left if task not in suspects]))

    def _report_progress(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._reported < PROGRESS_SECONDS:
            return
        self._reported = time.monotonic()
        numbers = self.numbers()
        with self._stopping_when_full():
            self.store.write_progress(numbers, group_failures(self._plan.failures()))
        if self._progress is not None:
            self._progress(numbers)


def _lost(task: Task, message: str) -> PairResult:
    return replace(task.failed(Failure("worker_lost", message, message)), host=None)


class HeaderNotes:
    """Counts notes on headers that differ only in paths and numbers, and keeps the first of each kind."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}

    def add(self, notes: Iterable[str]) -> None:
        """Enter the notes of one pair."""
        kinds = {signature_of(note): note for note in notes}
        for kind, note in kinds.items():
            count, first = self._known.get(kind, (0, note))
            self._known[kind] = (count + 1, first)

    def lines(self) -> tuple[str, ...]:
        """A sentence for each kind, the most frequent first."""
        ranked = sorted(self._known.values(), key=lambda known: -known[0])
        return tuple(note if count == 1 else f"{note} (and alike in {count} pairs)" for count, note in ranked)
