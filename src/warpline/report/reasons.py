"""Messages as pages show them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

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
    """How a metric was shown two images, by `warpline.registration.comparisons.ComparedImages`."""
    return _CONTRASTS[contrast]


def preparation_in_words(steps: Sequence[Mapping[str, Any]]) -> str:
    """What was done to the images before they were compared, by `warpline.registration.preparation.PreparationStep`."""
    return "; ".join(
        f"{image.replace('_', ' ')} by {', '.join(map(_step_in_words, own))}"
        for image, own in groupby(steps, key=lambda step: str(step["image"]))
    )


def _step_in_words(step: Mapping[str, Any]) -> str:
    return f"{step['method']} ({step['library']})" if step["library"] else str(step["method"])
