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


AS_GIVEN = "as given"
"""The contrast of images that a metric compared as they are."""

_CONTRASTS = {
    AS_GIVEN: "contrasts as given",
    "moving like fixed": "the moving one as its grey values predict the fixed one",
    "fixed like moving": "the fixed one as its grey values predict the moving one",
}


def contrast_in_words(contrast: str) -> str:
    """How a metric was shown two images, by `warpline.registration.terms.ComparedImages`."""
    return _CONTRASTS[contrast]
