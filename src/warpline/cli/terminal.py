"""Output of a command: the result on stdout, everything else on stderr."""

from __future__ import annotations

import json as json_text
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from warpline.cli.progress import Bar, Lines
from warpline.cli.streams import may_be_terminal, writing_notes, writing_result
from warpline.io.json_values import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    ProgressDisplay = Bar | Lines


class Terminal:
    """The two streams of one command.

    Parameters
    ----------
    command : str
        Name of the command, the head of its lines.
    json : bool
        Write the result as JSON.
    quiet, verbose : bool
        Print only warnings, errors and the result; or everything that is logged.
    """

    def __init__(self, command: str, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.command = command
        self.json = json
        self.quiet = quiet
        self._displays: list[ProgressDisplay] = []
        self._level_before = logging.NOTSET
        self._warnings: list[str] = []
        self._log = _LogLines(self._log_line, logging.DEBUG if verbose else logging.WARNING)

    def __enter__(self) -> Terminal:
        """Attach a handler to the package's logger."""
        logger = logging.getLogger("warpline")
        logger.addHandler(self._log)
        self._level_before = logger.level
        logger.setLevel(self._log.level)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.finish_progress()
        logger = logging.getLogger("warpline")
        logger.removeHandler(self._log)
        logger.setLevel(self._level_before)

    def say(self, text: str) -> None:
        """One line on stderr, unless the command is quiet."""
        if not self.quiet:
            with writing_notes():
                print(text, file=sys.stderr, flush=True)

    def fail(self, text: str) -> None:
        """The one line of an error on stderr."""
        self.finish_progress()
        with writing_notes():
            print(f"warpline {self.command}: error: {' '.join(text.split())}", file=sys.stderr, flush=True)

    def progress(self) -> ProgressDisplay | None:
        """The display of a registration: a bar on a terminal, lines elsewhere, None when quiet."""
        if self.quiet:
            return None
        console = self.console()
        display: ProgressDisplay = Lines(self.say) if console is None else Bar(console)
        self._displays.append(display)
        return display

    @staticmethod
    def console() -> Console | None:
        """The terminal behind stderr, None where it is redirected."""
        if not may_be_terminal(sys.stderr):
            return None
        from rich.console import Console

        console = Console(stderr=True)
        return console if console.is_terminal else None

    def finish_progress(self) -> None:
        """Finish every bar and line of progress."""
        while self._displays:
            self._displays.pop().close()

    def result(self, record: Mapping[str, Any], *shown: str | Table) -> None:
        """Write the result to stdout: `record` with ``--json``, else the lines and tables in `shown`.

        What was logged as a warning is among the `warnings` of the record.

        Raises
        ------
        OutputError
            When stdout cannot be written; a reader that has gone is no error.
        """
        self.finish_progress()
        with writing_result():
            self._write(record, shown)

    def _write(self, record: Mapping[str, Any], shown: Sequence[str | Table]) -> None:
        if self.json:
            logged = {"warnings": [*record.get("warnings", ()), *self._warnings]} if self._warnings else {}
            print(json_text.dumps(plain({**record, **logged}), indent=2), flush=True)
            return
        for part in shown:
            print(part, flush=True) if isinstance(part, str) else _print_table(part)  # rich would expand tabs

    def _log_line(self, level: int, text: str) -> None:
        """Print a log record: each warning once, also when the command is quiet."""
        line = f"{logging.getLevelName(level).lower()}: {text}"
        if level < logging.WARNING:
            self.say(line)
        elif text not in self._warnings:
            self._warnings.append(text)
            with writing_notes():
                print(line, file=sys.stderr, flush=True)


def _print_table(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True, markup=False).print(table)


class _LogLines(logging.Handler):
    def __init__(self, write: Callable[[int, str], None], level: int) -> None:
        super().__init__(level)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record.levelno, record.getMessage())
