"""Progress of a cohort: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from warpline.cli.terminal import Terminal
    from warpline.cohort import Group

SILENCE = 30.0
"""Seconds between two lines."""

ProgressCallback = Callable[[Mapping[str, Any]], None]


@contextmanager
def progress_display(terminal: Terminal) -> Iterator[ProgressCallback | None]:
    """What shows the numbers of a run while it goes on; None when quiet."""
    console = None if terminal.quiet else terminal.console()
    if terminal.quiet:
        yield None
    elif console is not None:
        with _bar(console) as show:
            yield show
    else:
        yield _lines(terminal.say)


def line(numbers: Mapping[str, Any]) -> str:
    """How a run goes, in one line."""
    left = "" if numbers.get("eta_s") is None else f", about {duration(numbers['eta_s'])} left"
    return (
        f"{numbers['ok']} of {numbers['total']} done, {numbers['failed']} failed, {numbers['todo']} to do; "
        f"{numbers['pairs_per_s']:.3g} pairs per second, computing {numbers['busy']:.0%} of the time{left}"
    )


def failure_table(groups: Iterable[Group]) -> Table:
    """Failures with the same cause, a row for each group."""
    from rich.table import Column, Table

    table = Table("failed", "class", Column("message", overflow="fold"), "for example")
    for group in groups:
        table.add_row(str(group.count), group.kind, group.message, group.example)
    return table


def duration(seconds: float) -> str:
    """A time span, as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def _bar(console: Console) -> Iterator[ProgressCallback]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("pairs", total=None, failed=0)

        def show(numbers: Mapping[str, Any]) -> None:
            ended = numbers["total"] - numbers["todo"]
            bars.update(task, total=numbers["total"], completed=ended, failed=numbers["failed"])

        yield show


def _lines(say: Callable[[str], None]) -> ProgressCallback:
    spoke = 0.0

    def show(numbers: Mapping[str, Any]) -> None:
        nonlocal spoke
        if time.monotonic() - spoke >= SILENCE:
            spoke = time.monotonic()
            say(line(numbers))

    return show
