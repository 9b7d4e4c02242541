"""ITK's transforms in text files (``.tfm``, ``.txt``), alone or as a composite; linear ones are written.

After the line ``#Insight Transform File V1.0``, each transform has a line ``Transform:`` with its class, and
lines ``Parameters:`` and ``FixedParameters:``. A composite comes first, without numbers, and is followed by its
parts, the **last** of which points go through first. What the numbers mean is in `itk_parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io.transform_files import itk_parameters, itk_parts, numbers
from warpline.io.transform_files.format import MAX_FIELD, Format, Head, read_text
from warpline.space import Affine, Chain, Part, Transform

_TITLE = "#Insight Transform File V1.0"


def matches(head: Head) -> bool:
    """Whether a file is an ITK transform in text form."""
    return _is_itk(head) and not _is_flat(head)


def matches_flat(head: Head) -> bool:
    """Whether it is one in 2-D."""
    return _is_itk(head) and _is_flat(head)


def _is_itk(head: Head) -> bool:
    return head.content.startswith(_TITLE.encode()) and b"\0" not in head.content


def _is_flat(head: Head) -> bool:
    return b"_2_2" in head.content.partition(b"\nTransform:")[2].partition(b"\n")[0]


def read(path: Path) -> Transform:
    """Read the transform, or the composite as a chain, fixed world to moving world in RAS+ mm.

    Raises
    ------
    InputError
        When the file is damaged, a class is not known, or several transforms are not joined by a composite.
    """
    found = _entries(read_text(path, MAX_FIELD), path)
    composite = found[0]["Transform"].startswith(itk_parameters.COMPOSITE)
    if not composite and len(found) > 1:
        raise InputError(
            f"{path} holds {len(found)} transforms without a {itk_parameters.COMPOSITE} that says how they are joined; "
            "write them one by one, or if they are those of the volumes of a series: warpline series apply --motion"
        )
    parts = [_part(entry, path) for entry in found[composite:]]
    return Chain(tuple(reversed(parts))) if composite else parts[0]


def read_affines(path: Path) -> tuple[Affine, ...]:
    """Read a file of one affine per volume of a series, as `encode_affines` and nitransforms write it.

    Raises
    ------
    InputError
        When the file is damaged, or holds anything else.
    """
    parts = tuple(_part(entry, path) for entry in _entries(read_text(path, MAX_FIELD), path))
    affines = tuple(part for part in parts if isinstance(part, Affine))
    if len(affines) < len(parts):
        raise InputError(f"{path} holds other transforms than affines; one affine per volume is needed")
    return affines


def encode_affines(transforms: Sequence[Affine]) -> bytes:
    """The bytes of a file of one affine per volume of a series, numbered from 0; no composite joins them."""
    blocks = [
        _block(number, itk_parameters.LINEAR_NAME, *itk_parameters.from_affine(transform))
        for number, transform in enumerate(transforms)
    ]
    return "".join([f"{_TITLE}\n", *blocks]).encode()


def encode(transform: Affine) -> bytes:
    """The bytes of a file that keeps every digit."""
    return _encode(itk_parameters.LINEAR_NAME, *itk_parameters.from_affine(transform))


def encode_flat(transform: Affine) -> bytes:
    """The bytes of a file in 2-D.

    Raises
    ------
    UsageError
        When the transform does not leave the third axis as it is.
    """
    return _encode(itk_parameters.FLAT_NAME, *itk_parameters.flat_from_affine(transform))


def _encode(name: str, parameters: NDArray[np.float64], fixed: NDArray[np.float64]) -> bytes:
    return f"{_TITLE}\n{_block(0, name, parameters, fixed)}".encode()


def _block(number: int, name: str, parameters: NDArray[np.float64], fixed: NDArray[np.float64]) -> str:
    lines = (
        f"#Transform {number}",
        f"Transform: {name}",
        f"Parameters: {numbers.line(parameters)}",
        f"FixedParameters: {numbers.line(fixed)}",
    )
    return "".join(f"{line}\n" for line in lines)


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


def _part(entry: dict[str, str], path: Path) -> Part:
    keys = ("Parameters", "FixedParameters")
    missing = [key for key in keys if key not in entry]
    if missing:
        raise InputError(f"{path} has damaged or missing parameters ({missing[0]!r}); write the transform again")
    values = [_numbers(entry[key], path) for key in keys]
    return itk_parts.to_part(entry["Transform"], values[0], values[1], path)


def _numbers(text: str, path: Path) -> NDArray[np.float64]:
    try:
        return np.array(text.split(), np.float64)
    except ValueError as error:
        raise InputError(f"{path} has damaged or missing parameters ({error}); write the transform again") from None


FORMAT = Format(
    about="ITK transform in text form (.tfm, .txt)",
    stores="fixed to moving",
    unit="mm, LPS",
    holds=Affine,
    suffixes=(".tfm", ".txt"),
    matches=matches,
    read=read,
    encode=encode,
)
FLAT = replace(FORMAT, about=f"{FORMAT.about}, in 2-D", matches=matches_flat, encode=encode_flat, flat=True)
