"""Messages as pages show them."""

from __future__ import annotations

import re

_FILE = re.compile(r"\.\w+:?$")


def cause_first(message: str) -> str:
    """A message that begins with what is wrong, not with the path of a file; the file's name stands at its end."""
    path, space, rest = message.partition(" ")
    if not space or not ("/" in path or _FILE.search(path)):
        return message
    return f"{rest} ({path.rstrip(':,').rpartition('/')[2]})"
