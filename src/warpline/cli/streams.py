"""Standard output and error that nobody reads any more, or that lie on a full disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from warpline.errors import OutputError


@contextmanager
def writing_result() -> Iterator[None]:
    """Write to standard output: a closed pipe, as ``| head`` leaves it, loses the rest without a word.

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
    except BrokenPipeError:
        _drop(sys.stdout)
    except OutputError:
        raise
    except OSError as error:
        _drop(sys.stdout)
        raise OutputError(f"standard output cannot be written: {error.strerror or error}; free some space") from None


@contextmanager
def writing_notes() -> Iterator[None]:
    """Write to standard error: when it cannot be written, the work goes on without it."""
    try:
        yield
    except OSError:
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    """Let all that follows go nowhere, what is still in memory included."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
