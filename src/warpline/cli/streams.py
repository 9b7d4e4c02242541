"""Standard output and error when the pipe is closed, the disk is full, or the encoding lacks a letter."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from warpline.errors import OutputError

FORCING = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Environment variables that make rich take any stream for a terminal."""

READER_GONE = {errno.EPIPE, errno.EINVAL if os.name == "nt" else errno.EPIPE}
"""What writing to a pipe that nobody reads any more ends with; Windows says that the argument is invalid."""


def open_standard_streams() -> None:
    """Make standard output and error take all text; a process without one of them gets the null device for it.

    Without that a file that is opened later would take the place of the stream, and be written into.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process runs
        _take_every_letter(getattr(sys, name))


def _take_every_letter(stream: TextIO) -> None:
    """Write UTF-8 to files and pipes, as to every file, unless ``PYTHONIOENCODING`` says otherwise; escape the rest.

    On Windows they would have the code page of the system, which lacks most letters of names and paths.
    """
    if isinstance(stream, io.TextIOWrapper):
        chosen = stream.isatty() or "PYTHONIOENCODING" in os.environ
        stream.reconfigure(encoding=None if chosen else "utf-8", errors="backslashreplace")


def may_be_terminal(stream: TextIO) -> bool:
    """Whether rich, which takes as long to load as all else that a help text needs, should be asked for its opinion."""
    return stream.isatty() or any(os.environ.get(name) for name in FORCING)


@contextmanager
def writing_result() -> Iterator[None]:
    """Write to standard output: a closed pipe, as ``| head`` leaves it, discards the rest silently.

    Raises
    ------
    OutputError
        When it cannot be written for another reason, such as a full disk.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputError:
        raise
    except OSError as error:
        _discard_output(sys.stdout)
        if error.errno in READER_GONE:
            return
        raise OutputError(f"standard output cannot be written: {error.strerror or error}; free some space") from None


@contextmanager
def writing_notes() -> Iterator[None]:
    """Write to standard error: when it cannot be written, the command goes on without it."""
    try:
        yield
    except OSError:
        _discard_output(sys.stderr)


def _discard_output(stream: TextIO) -> None:
    """Redirect a stream to the null device, its buffer included."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
