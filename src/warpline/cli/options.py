"""Arguments that several commands share."""

from __future__ import annotations

import math
import os
from argparse import ArgumentParser, ArgumentTypeError

from warpline.backends import BACKENDS


def add_device(parser: ArgumentParser) -> None:
    """``--backend`` and ``--threads``: where the arithmetic runs."""
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--backend",
        choices=("auto", *BACKENDS),
        help="default: WARPLINE_BACKEND, else auto, the fastest one that works here",
    )
    group.add_argument(
        "--threads",
        type=positive_count,
        metavar="N",
        help="CPU threads; default: WARPLINE_THREADS, else every core this process may use",
    )


def positive_count(text: str) -> int:
    """A whole number of at least 1.

    Raises
    ------
    ArgumentTypeError
        Otherwise; argparse makes it a usage error.
    """
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not allowed; a whole number of at least 1 is needed")
    return int(text)


def positive(text: str) -> float:
    """Read a number above 0.

    Raises
    ------
    ArgumentTypeError
        Otherwise; argparse makes it a usage error.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is not allowed; a number above 0 is needed")
    return value


def as_prefix(output: str) -> str:
    """What output names begin with: a folder that is there gets its slash."""
    return f"{output}{os.sep}" if os.path.isdir(output) and not output.endswith(("/", os.sep)) else output
