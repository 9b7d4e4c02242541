"""JSON that other processes wrote, and perhaps did not finish or somebody changed: an object, or nothing."""

from __future__ import annotations

import json
from typing import Any


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
