"""JSON files: written complete or not at all; read with care, since other processes may have been killed in between."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from warpline.io.atomic import write_atomic

MAX_BYTES = 2**26
"""Size of the largest file that is read; larger ones count as damaged."""


def encode(value: Any) -> bytes:
    """The content of a JSON file; numbers that are not finite are refused, since JSON has none."""
    return json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    write_atomic(path, encode(value))


def read_object(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one when the file is missing, no regular file, too large or damaged."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            return {}
        return parse_object(path.read_bytes()) or {}
    except (OSError, ValueError):  # a name with a zero byte is a ValueError
        return {}


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """The object in a text; None when it is damaged or holds something else.

    Parameters
    ----------
    text : bytes or str
        A file or a line of it. Numbers of thousands of digits and endlessly nested values count as damage.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
