"""Workers: run a chunk of pairs, reading ahead and writing behind while they compute."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from warpline.cohort import steps
from warpline.cohort.failures import STOPPING, Failure, TimeLimitError, kind_of
from warpline.cohort.journal import Events, Journal
from warpline.cohort.plan import Task
from warpline.cohort.results import PairResult, now
from warpline.cohort.worker_settings import WorkerSettings
from warpline.errors import OutputError

AHEAD = 2
"""Queue length beyond the pairs in readers and writers: with less, either side waits for the other."""

GRACE = 5.0
"""Seconds after the time limit at which a process that does not react is ended."""

BROKEN = 70
"""Exit status of a worker that ends itself: its device, or a pair, no longer answers."""


@dataclass
class _PairState:
    """A pair between two stages."""

    task: Task
    seconds: dict[str, float] = field(default_factory=dict)
    value: Any = None
    failure: Failure | None = None
    stopped: bool = False


def run_journaled(tasks: Sequence[Task], settings: WorkerSettings, journal: Path) -> list[PairResult] | None:
    """Run a chunk in a process of its own; None when another process has begun it, and perhaps died from it."""
    try:
        events = Journal(journal)
    except FileExistsError:
        return None
    except OutputError as error:
        return [tasks[0].failed(Failure.of(error))]
    with closing(events):
        return run_chunk(tasks, settings, events, expendable=True)


def run_chunk(
    tasks: Sequence[Task], settings: WorkerSettings, events: Events, *, expendable: bool = False
) -> list[PairResult]:
    """Run pairs one after the other; returns the results of those that were begun.

    Parameters
    ----------
    tasks : sequence of Task
        In this order.
    settings : WorkerSettings
        Of the run.
    events : Events
        Receives every step.
    expendable : bool
        Whether this process may end itself, when a pair hangs or the device is broken.
    """
    limiter = _TimeLimit(settings.time_limit, events, expendable)
    with limiter:
        return _Pipeline(settings, events, limiter, expendable).run(tasks)


class _Pipeline:
    """Reads pairs in threads ahead of the computation, and writes them in threads behind it."""

    def __init__(self, settings: WorkerSettings, events: Events, limiter: _TimeLimit, expendable: bool) -> None:
        self._settings = settings
        self._events = events
        self._limiter = limiter
        self._expendable = expendable
        self._broken = False
        self._results: list[PairResult] = []

    def run(self, tasks: Sequence[Task]) -> list[PairResult]:
        ahead: deque[Future[_PairState]] = deque()
        behind: deque[Future[None]] = deque()
        readers, writers = self._settings.readers, self._settings.writers
        with ThreadPoolExecutor(readers) as reading, ThreadPoolExecutor(writers) as writing:
            waiting = iter(tasks)
            while self._refill(ahead, waiting, reading):
                work = ahead.popleft().result()
                work.stopped |= self._stopping()
                self._stage(work, "compute", self._compute)
                behind.append(writing.submit(self._finish, work))
                while len(behind) > writers + AHEAD:
                    behind.popleft().result()
            for future in behind:
                future.result()
        return self._results

    def _refill(self, ahead: deque[Future[_PairState]], waiting: Iterator[Task], reading: ThreadPoolExecutor) -> bool:
        while len(ahead) < self._settings.readers + AHEAD:
            task = next(waiting, None)
            if task is None:
                break
            ahead.append(reading.submit(self._begin, task))
        return bool(ahead)

    def _begin(self, task: Task) -> _PairState:
        work = _PairState(task, stopped=self._stopping())
        self._stage(work, "read", lambda _: steps.read(task, self._settings.geometry))
        return work

    def _stopping(self) -> bool:
        return self._broken or self._settings.stop_file.exists()

    def _compute(self, work: _PairState) -> steps.RegisteredPair:
        """Compute; once more when memory was short, since the garbage of the first attempt is collected by then."""
        pair: steps.LoadedPair = work.value
        progress = self._limiter.progress(work.task.id)
        try:
            return steps.compute(pair, self._settings, progress)
        except Exception as error:
            if kind_of(error) != "out_of_memory":
                raise
        gc.collect()
        return steps.compute(pair, self._settings, progress)

    def _finish(self, work: _PairState) -> None:
        self._stage(work, "write", lambda _: steps.write(work.task, work.value, self._settings, work.seconds))
        if work.stopped:
            return
        result = work.value if work.failure is None else work.task.failed(work.failure)
        result = replace(result, seconds=work.seconds, finished=now())
        self._results.append(result)
        with suppress(OutputError):  # the driver gets the result from `run` as well
            self._events.outcome(result)

    def _stage(self, work: _PairState, name: str, step: Callable[[_PairState], Any]) -> None:
        if work.stopped or work.failure is not None:
            return
        start = time.perf_counter()
        try:
            self._events.begin(work.task.id, name)
            with self._limiter.over(work.task):
                work.value = step(work)
            self._events.end(work.task.id)
        except Exception as error:
            self._fail(work, error)
        work.seconds[name] = time.perf_counter() - start

    def _fail(self, work: _PairState, error: Exception) -> None:
        work.failure, work.value = Failure.of(error), None
        if work.failure.kind == "device_lost" and self._expendable:
            os._exit(BROKEN)  # a broken context fails every later pair; a new process has a new one
        self._broken |= work.failure.kind in STOPPING


class _TimeLimit:
    """Ends pairs at the time limit: by an exception where the registration reports progress, else with the process."""

    def __init__(self, limit: float, events: Events, expendable: bool) -> None:
        self._limit = limit
        self._events = events
        self._expendable = expendable
        self._since: dict[str, tuple[float, Task, int]] = {}
        self._over = threading.Event()

    def __enter__(self) -> _TimeLimit:
        if self._expendable:
            threading.Thread(target=self._check_all, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @contextmanager
    def over(self, task: Task) -> Iterator[None]:
        """Time a stage of a pair."""
        self._since[task.id] = (time.monotonic(), task, threading.get_ident())
        try:
            yield
        finally:
            self._since.pop(task.id, None)

    def progress(self, id: str) -> Callable[[object], None]:
        """A callback for the iterations of a registration: it raises once the limit has passed."""

        def check(_: object) -> None:
            if time.monotonic() - self._since[id][0] > self._limit:
                raise TimeLimitError(self._message())

        return check

    def _check_all(self) -> None:
        while not self._over.wait(min(1.0, self._limit / 4)):
            for start, task, thread in list(self._since.values()):
                if time.monotonic() - start > self._limit + min(GRACE, self._limit):
                    self._end(task, thread)

    def _end(self, task: Task, thread: int) -> None:
        frame = sys._current_frames().get(thread)
        where = "".join(traceback.format_stack(frame)) if frame else ""
        failure = replace(Failure.of(TimeLimitError(self._message())), traceback=where)
        self._events.outcome(replace(task.failed(failure), seconds={"compute": self._limit}))
        self._events.leave(f"{task.id} hung")
        os._exit(BROKEN)

    def _message(self) -> str:
        return f"took longer than {self._limit:g} s; raise --time-limit, or look at the images"
