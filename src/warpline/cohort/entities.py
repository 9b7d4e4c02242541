"""Entities of BIDS names: ``sub-01_space-MNI_res-2_desc-preproc_T1w`` taken apart, and filters on them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warpline.errors import InputError, UsageError
from warpline.io.limits import MEGABYTE, read_bounded

ENDINGS = (".nii.gz", ".nii")

LONG_NAMES = {
    "subject": "sub",
    "session": "ses",
    "acquisition": "acq",
    "ceagent": "ce",
    "tracer": "trc",
    "staining": "stain",
    "reconstruction": "rec",
    "direction": "dir",
    "modality": "mod",
    "inversion": "inv",
    "processing": "proc",
    "hemisphere": "hemi",
    "resolution": "res",
    "density": "den",
    "description": "desc",
    "segmentation": "seg",
    "volume": "vol",
}
"""What PyBIDS, and with it the filter files of fMRIPrep, call entities; the others have one name only."""

_SHORT_NAMES = frozenset(
    {*LONG_NAMES.values(), *("sample", "task", "run", "echo", "flip", "mt", "part", "recording", "space", "split")}
    | {"label", "from", "to", "mode", "cohort", "atlas", "scale", "chunk", "nuc", "voi"}
)
_QUERIES = {"Query.NONE": None, "Query.ANY": "*", "Query.REQUIRED": "*", "*": "*"}
_WITHOUT_MEANING = frozenset({"datatype", "suffix", "extension", "scope", "invalid_filters", "regex_search"})

Wanted = tuple[str | None, ...]
"""Values that an entity may have; None for its absence, ``"*"`` for any."""


@dataclass(frozen=True)
class BidsName:
    """An image's name, taken apart.

    Parameters
    ----------
    entities : dict
        Entity to label, in the order of the name.
    suffix : str
        What it ends with: ``T1w``.
    name : str
        As it is, with its ending.
    """

    entities: dict[str, str]
    suffix: str
    name: str

    @classmethod
    def parse(cls, name: str) -> BidsName | None:
        """Take a name apart; None when it is no image with a BIDS name. Suffixes in the middle are passed over."""
        end = next((end for end in ENDINGS if name.endswith(end)), None)
        if end is None:
            return None
        *parts, suffix = name.removesuffix(end).split("_")
        pairs = [part.partition("-") for part in parts]
        entities = {key: value for key, dash, value in pairs if dash}
        plain = all(key.isalpha() and value.replace("+", "").isalnum() for key, value in entities.items())
        if not plain or "-" in suffix or not suffix.isascii() or next(iter(entities), "") != "sub":
            return None
        return cls(entities, suffix, name)

    def without(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Entities and labels apart from some."""
        return tuple((key, value) for key, value in self.entities.items() if key not in names)


def joined(entities: Iterable[tuple[str, str]]) -> str:
    """Entities as they stand in a name."""
    return "_".join(f"{key}-{value}" for key, value in entities)


@dataclass(frozen=True)
class Filter:
    """Which images are taken.

    Parameters
    ----------
    wanted : dict
        Entity to the labels it may have; entities that are not named may have any.
    suffix : str
        What the names end with.
    """

    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    suffix: str = "T1w"

    @classmethod
    def of(cls, suffix: str, entities: Mapping[str, Any], file: str | os.PathLike[str] | None = None) -> Filter:
        """A filter from a filter file, as fMRIPrep takes them, and single entities, which come first.

        Raises
        ------
        InputError
            When the file cannot be read.
        UsageError
            When an entity is unknown.
        """
        given = {} if file is None else _section(file, suffix)
        chosen = {**given, **entities}
        wanted = {_short(name): _labels(value) for name, value in chosen.items() if name not in _WITHOUT_MEANING}
        ends = given.get("suffix", suffix)
        if not isinstance(ends, str):
            raise UsageError(f"BIDS filter file {file} wants the suffix {ends!r}; one suffix is needed")
        return cls(wanted, ends)

    def takes(self, name: BidsName) -> bool:
        """Whether an image is wanted."""
        if name.suffix != self.suffix:
            return False
        return all(_is_wanted(name.entities.get(key), labels) for key, labels in self.wanted.items())


def read_entities(texts: Iterable[str]) -> dict[str, Any]:
    """Entities from ``KEY=VALUE`` texts; ``none`` is the absence of an entity, ``*`` any label.

    Raises
    ------
    UsageError
        When a text has no ``=``, or an entity is unknown.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not value:
            raise UsageError(f"entity {text!r} is not allowed; KEY=VALUE is needed, such as desc=preproc or space=none")
        found[_short(key)] = None if value == "none" else value
    return found


def _section(file: str | os.PathLike[str], suffix: str) -> dict[str, Any]:
    name = os.fspath(file)
    try:
        given = json.loads(read_bounded(Path(file), MEGABYTE))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"BIDS filter file {name} cannot be read: {error}") from None
    section = given.get(suffix.lower()) if isinstance(given, dict) else None
    if not isinstance(section, dict):
        has = ", ".join(map(str, given)) if isinstance(given, dict) else "no dictionary"
        raise InputError(f"BIDS filter file {name} has no {suffix.lower()!r}, for --suffix {suffix}; it has {has}")
    return section


def _short(name: str) -> str:
    short = LONG_NAMES.get(name, name)
    if short not in _SHORT_NAMES:
        raise UsageError(f"entity {name!r} is unknown; {', '.join(sorted(_SHORT_NAMES))} are known")
    return short


def _labels(value: Any) -> Wanted:
    values = value if isinstance(value, list | tuple) else (value,)
    return tuple(None if label is None else _QUERIES.get(str(label), str(label)) for label in values)


def _is_wanted(label: str | None, wanted: Wanted) -> bool:
    if "Query.OPTIONAL" in wanted or (label is not None and "*" in wanted) or label in wanted:
        return True
    numbers = {each.lstrip("0") for each in wanted if each is not None and each.isdecimal()}
    return label is not None and label.isdecimal() and label.lstrip("0") in numbers
