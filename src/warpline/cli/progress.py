"""Progress of a registration: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from warpline.registration.progress import Progress

SILENCE = 30.0
"""Longest time in seconds without a line inside a level."""


class Bar:
    """One bar per level on a terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bars = RichProgress(
            TextColumn("{task.description:<20}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[energy]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._level = ""
        self._task: TaskID | None = None
        self._bars.start()

    def __call__(self, step: Progress) -> None:
        """Show one iteration."""
        if self._task is None or _level_name(step) != self._level:
            self._finish_task()
            self._level = _level_name(step)
            self._task = self._bars.add_task(self._level, total=step.iterations, energy="")
        self._bars.update(self._task, completed=step.iteration + 1, energy=_measured(step))

    def close(self) -> None:
        """Finish the bars and release the terminal."""
        self._finish_task()
        self._bars.stop()

    def _finish_task(self) -> None:
        if self._task is not None:
            done = self._bars.tasks[self._task].completed
            self._bars.update(self._task, total=done)
        self._task = None


class Lines:
    """A line when a level ends, and one every `SILENCE` seconds inside a long level.

    The time of a level runs from the last iteration before it to its own last one, its preparation included.

    Parameters
    ----------
    say : callable
        Receives each line.
    clock : callable
        Time in seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._last: Progress | None = None
        self._began = self._last_time = self._last_line = clock()

    def __call__(self, step: Progress) -> None:
        """Print a line when a level ends, or after `SILENCE` seconds."""
        if self._last is not None and _level_name(step) != _level_name(self._last):
            self._end_level(self._last)
        self._last, self._last_time = step, self._clock()
        if self._last_time - self._last_line >= SILENCE:
            done = f"iteration {step.iteration + 1} of {step.iterations}"
            self._say(f"{_level_name(step)}: {done}, {_measured(step)}")
            self._last_line = self._last_time

    def close(self) -> None:
        """Print the line of the last level."""
        if self._last is not None:
            self._end_level(self._last)
        self._last = None

    def _end_level(self, step: Progress) -> None:
        done = f"{step.iteration + 1} iterations"
        self._say(f"{_level_name(step)}: {done}, {_measured(step)}, {self._last_time - self._began:.1f} s")
        self._began, self._last_line = self._last_time, self._clock()


def _level_name(step: Progress) -> str:
    return f"{step.stage} level {step.level + 1}/{step.levels}"


def _measured(step: Progress) -> str:
    return f"{step.measure} {step.energy:.5f}"
