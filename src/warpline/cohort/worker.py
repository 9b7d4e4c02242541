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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from warpline.cohort import steps
from warpline.cohort.failures import STOPPING, Failure, TimeLimitError, kind_of
from warpline.cohort.journal import Journal
from warpline.cohort.settings import Settings, host, now
from warpline.cohort.tasks import Task
from warpline.errors import OutputError

AHEAD = 2
"""Pairs that are read, or wait to be written, beside those that readers and writers hold."""

GRACE = 5.0
"""Seconds after the time limit at which a process that does not react is ended."""

BROKEN = 70
"""Exit status of a worker that ends itself: its device, or a pair, no longer answers."""

Outcome = dict[str, Any]
"""What became of a pair: id, key, status, seconds; metrics, or a failure. Plain JSON values."""


class Events(Protocol):
    """Hears what a worker does; a `Journal` is one."""

    def begin(self, id: str, stage: str) -> None:
        """A pair enters a stage."""

    def end(self, id: str) -> None:
        """A pair has left a stage."""

    def outcome(self, record: Outcome) -> None:
        """A pair is finished."""

    def leave(self, reason: str) -> None:
        """The process ends by its own will."""


@dataclass
class _Work:
    """A pair on its way through the stages."""

    task: Task
    seconds: dict[str, float] = field(default_factory=dict)
    value: Any = None
    failure: Failure | None = None
    stopped: bool = False


def run_journaled(tasks: Sequence[Task], settings: Settings, journal: Path) -> list[Outcome] | None:
    """Run a chunk in a process of its own; None when another process has begun it, and perhaps died of it."""
    try:
        events = Journal(journal)
    except FileExistsError:
        return None
    except OutputError as error:
        return [{**_record(tasks[0], {}), "status": "failed", "failure": Failure.of(error).as_record()}]
    with closing(events):
        return run_chunk(tasks, settings, events, expendable=True)


def run_chunk(tasks: Sequence[Task], settings: Settings, events: Events, *, expendable: bool = False) -> list[Outcome]:
    """Run pairs one after the other; returns what became of those that were begun.

    Parameters
    ----------
    tasks : sequence of Task
        In this order.
    settings : Settings
        Of the run.
    events : Events
        Hears of every step.
    expendable : bool
        Whether this process may end itself, when a pair hangs or the device is broken.
    """
    watch = _Watch(settings.time_limit, events, expendable)
    with watch:
        return _Line(settings, events, watch, expendable).run(tasks)


class _Line:
    def __init__(self, settings: Settings, events: Events, watch: _Watch, expendable: bool) -> None:
        self._settings = settings
        self._events = events
        self._watch = watch
        self._expendable = expendable
        self._halted = False
        self._outcomes: list[Outcome] = []

    def run(self, tasks: Sequence[Task]) -> list[Outcome]:
        ahead: deque[Future[_Work]] = deque()
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
        return self._outcomes

    def _refill(self, ahead: deque[Future[_Work]], waiting: Iterator[Task], reading: ThreadPoolExecutor) -> bool:
        while len(ahead) < self._settings.readers + AHEAD:
            task = next(waiting, None)
            if task is None:
                break
            ahead.append(reading.submit(self._begin, task))
        return bool(ahead)

    def _begin(self, task: Task) -> _Work:
        work = _Work(task, stopped=self._stopping())
        self._stage(work, "read", lambda _: steps.read(task, self._settings.geometry))
        return work

    def _stopping(self) -> bool:
        return self._halted or self._settings.stop_file.exists()

    def _compute(self, work: _Work) -> steps.Computed:
        """Compute once, and once more when memory was short: what the first try held is free by then."""
        ready: steps.Ready = work.value
        progress = self._watch.listener(work.task.id)
        try:
            return steps.compute(ready, self._settings, progress)
        except Exception as error:
            if kind_of(error) != "out_of_memory":
                raise
        gc.collect()
        return steps.compute(ready, self._settings, progress)

    def _finish(self, work: _Work) -> None:
        self._stage(work, "write", lambda _: steps.write(work.task, work.value, self._settings, work.seconds))
        if work.stopped:
            return
        outcome = self._outcome(work)
        self._outcomes.append(outcome)
        with suppress(OutputError):  # the driver gets it in the end
            self._events.outcome(outcome)

    def _stage(self, work: _Work, name: str, step: Callable[[_Work], Any]) -> None:
        if work.stopped or work.failure is not None:
            return
        start = time.perf_counter()
        try:
            self._events.begin(work.task.id, name)
            with self._watch.over(work.task):
                work.value = step(work)
            self._events.end(work.task.id)
        except Exception as error:
            self._fail(work, error)
        work.seconds[name] = time.perf_counter() - start

    def _fail(self, work: _Work, error: Exception) -> None:
        work.failure, work.value = Failure.of(error), None
        if work.failure.kind == "device_lost" and self._expendable:
            os._exit(BROKEN)  # a broken context fails every later pair; a new process has a new one
        self._halted |= work.failure.kind in STOPPING

    def _outcome(self, work: _Work) -> Outcome:
        record = _record(work.task, work.seconds)
        if work.failure is None:
            return {**record, "status": "ok", **work.value}
        return {**record, "status": "failed", "failure": work.failure.as_record()}


def _record(task: Task, seconds: dict[str, float]) -> Outcome:
    about = {"id": task.id, "key": task.key, "recipe": task.recipe.name}
    return {**about, "seconds": seconds, "host": host(), "finished": now()}


class _Watch:
    """Ends what takes too long: by an exception where the registration reports progress, else with the process."""

    def __init__(self, limit: float, events: Events, expendable: bool) -> None:
        self._limit = limit
        self._events = events
        self._expendable = expendable
        self._since: dict[str, tuple[float, Task, int]] = {}
        self._over = threading.Event()

    def __enter__(self) -> _Watch:
        if self._expendable:
            threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @contextmanager
    def over(self, task: Task) -> Iterator[None]:
        """Watch a stage of a pair."""
        self._since[task.id] = (time.monotonic(), task, threading.get_ident())
        try:
            yield
        finally:
            self._since.pop(task.id, None)

    def listener(self, id: str) -> Callable[[object], None]:
        """What a registration calls at every iteration."""

        def check(_: object) -> None:
            if time.monotonic() - self._since[id][0] > self._limit:
                raise TimeLimitError(self._message())

        return check

    def _look(self) -> None:
        while not self._over.wait(min(1.0, self._limit / 4)):
            for start, task, thread in list(self._since.values()):
                if time.monotonic() - start > self._limit + min(GRACE, self._limit):
                    self._end(task, thread)

    def _end(self, task: Task, thread: int) -> None:
        frame = sys._current_frames().get(thread)
        where = "".join(traceback.format_stack(frame)) if frame else ""
        failure = Failure.of(TimeLimitError(self._message()))
        record = {**failure.as_record(), "traceback": where}
        self._events.outcome({**_record(task, {"compute": self._limit}), "status": "failed", "failure": record})
        self._events.leave(f"{task.id} hung")
        os._exit(BROKEN)

    def _message(self) -> str:
        return f"took longer than {self._limit:g} s; raise --time-limit, or look at the images"
