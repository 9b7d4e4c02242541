"""ITK's linear transforms in text files (``.tfm``, ``.txt``), alone or as a composite.

After the line ``#Insight Transform File V1.0``, each transform has a line ``Transform:`` with its class, and
lines ``Parameters:`` and ``FixedParameters:``. A composite comes first, without numbers, and is followed by its
parts, the **last** of which points go through first. What the numbers mean is in `itk_parameters`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpline.errors import InputError
from warpline.io.transform_files import itk_parameters, numbers
from warpline.io.transform_files.format import Format, Head, read_text
from warpline.transforms import Affine, Chain

_TITLE = "#Insight Transform File V1.0"


def matches(head: Head) -> bool:
    """Whether a file is an ITK transform in text form."""
    return head.text.startswith(_TITLE)


def read(path: Path) -> Affine | Chain:
    """Read the transform, or the composite as a chain, fixed world to moving world in RAS+ mm.

    Raises
    ------
    InputError
        When the file is damaged, a class is not linear, or several transforms are not joined by a composite.
    """
    found = _entries(read_text(path), path)
    composite = found[0]["Transform"].startswith(itk_parameters.COMPOSITE)
    if not composite and len(found) > 1:
        raise InputError(
            f"{path} holds {len(found)} transforms without a {itk_parameters.COMPOSITE} that says how they are joined; "
            "write them one by one"
        )
    parts = [_part(entry, path) for entry in found[composite:]]
    return Chain(tuple(reversed(parts))) if composite else parts[0]


def encode(transform: Affine) -> bytes:
    """The bytes of a file that keeps every digit."""
    parameters, fixed = itk_parameters.from_affine(transform)
    lines = (
        _TITLE,
        "#Transform 0",
        f"Transform: {itk_parameters.LINEAR_NAME}",
        f"Parameters: {numbers.line(parameters)}",
        f"FixedParameters: {numbers.line(fixed)}",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _entries(text: str, path: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        if ":" not in line:
            continue
        key, _, value = line.partition(":")
        if key == "Transform":
            found.append({})
        if found and not line.startswith("#"):
            found[-1][key.strip()] = value.strip()
    if not text.startswith(_TITLE) or not found:
        raise InputError(f"{path} is no ITK transform in text form; {_TITLE!r} and a line 'Transform:' are needed")
    return found


def _part(entry: dict[str, str], path: Path) -> Affine:
    try:
        values = [np.array([float(word) for word in entry[key].split()]) for key in ("Parameters", "FixedParameters")]
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has damaged or missing parameters ({error}); write the transform again") from None
    return itk_parameters.to_affine(entry["Transform"], values[0], values[1], path)


FORMAT = Format(
    about="ITK linear transform in text form (.tfm, .txt)",
    stores="fixed to moving",
    unit="mm, LPS",
    holds=Affine,
    suffixes=(".tfm", ".txt"),
    matches=matches,
    read=read,
    encode=encode,
)
