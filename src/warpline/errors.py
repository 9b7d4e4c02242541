"""Errors a user can act on: each names what came, what is allowed and what to do next."""

from __future__ import annotations

LONGEST = 2000
"""Letters of the longest message."""


class WarplineError(Exception):
    """Base of every error warpline raises on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1

    def __str__(self) -> str:
        """The message; one that repeats an endless word of a file is cut in its middle."""
        text = super().__str__()
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 500]} ... {text[-400:]}"


class UsageError(WarplineError, ValueError):
    """An option or argument has a value that is not allowed."""

    exit_code = 2


class BusyError(UsageError):
    """Another process works on what was asked for; the same command succeeds once that has ended."""

    exit_code = 75
    """EX_TEMPFAIL of sysexits.h: schedulers that are told so queue the job again."""


class InputError(WarplineError, ValueError):
    """A file or array cannot be used: unreadable, not finite, constant, too small, or without overlap."""

    exit_code = 5


class OutputError(WarplineError, OSError):
    """A result cannot be written: folder missing, read-only or full."""

    exit_code = 5


class DeviceError(WarplineError, RuntimeError):
    """The backend that was asked for cannot run on this machine."""

    exit_code = 6


class DeviceMemoryError(DeviceError):
    """The device works, but has too little free memory for these images."""


class DeviceLostError(DeviceError):
    """The device failed while it was used; a new process may be able to use it again."""
