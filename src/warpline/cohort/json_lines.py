"""JSON that other processes wrote, and perhaps did not finish or somebody changed: an object, or nothing."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

LONGEST = 2**26
"""Bytes of the longest file that is read."""


def read_object(path: Path) -> dict[str, Any] | None:
    """The object that a file holds; None when it is missing, no regular file, too long or damaged."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LONGEST:
            return None
        return object_in(path.read_bytes())
    except (OSError, ValueError):  # a name with a zero in it is a ValueError
        return None


def object_in(text: bytes | str) -> dict[str, Any] | None:
    """The object that a text holds; None when it is damaged or holds something else.

    Parameters
    ----------
    text : bytes or str
        A file or a line of it. Numbers of thousands of digits and values nested without end count as damage.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
