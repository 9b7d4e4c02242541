"""Checks before a run: of its options, and of where it would write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from warpline.cohort.json_lines import read_object
from warpline.errors import UsageError

_Rule = tuple[Callable[[Any], bool], str]
"""Whether a value is allowed, and what is allowed in words."""

DERIVATIVES = "derivatives"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(value: Any) -> bool:
    return not isinstance(value, str) and isinstance(value, Iterable) and all(isinstance(text, str) for text in value)


def _path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _shard(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_whole, value)) and 1 <= value[0] <= value[1]


def _allowance(value: Any) -> bool:
    return value >= 0 and (_whole(value) or value <= 1) if _number(value) else False


def _or_none(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


def _one_of(*names: str) -> _Rule:
    return lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"


_LABELS: _Rule = (_texts, "a list of labels")
_OPTIONAL_PATH: _Rule = (_or_none(_path), "a path")
_POSITIVE: _Rule = (lambda value: _whole(value) and value >= 1, "a whole number of at least 1")

_RULES: Mapping[str, _Rule] = {
    "fixed": _OPTIONAL_PATH,
    "participants": _LABELS,
    "sessions": _LABELS,
    "suffix": (lambda value: isinstance(value, str) and value.isalnum(), "letters and digits such as T1w"),
    "space": (lambda value: isinstance(value, str), "a label"),
    "bids_filter": _OPTIONAL_PATH,
    "entities": (lambda value: isinstance(value, Mapping), "a dictionary of entities and their values"),
    "warps": _one_of("rounded", "forward", "full", "none"),
    "backend": (_or_none(lambda value: isinstance(value, str)), "the name of a backend"),
    "threads": (_or_none(_POSITIVE[0]), _POSITIVE[1]),
    "workers": (_or_none(lambda value: _whole(value) and value >= 0), "a whole number of at least 0"),
    "workers_per_gpu": _POSITIVE,
    "scheduler": _OPTIONAL_PATH,
    "credentials": _OPTIONAL_PATH,
    "shard": (_shard, "(i, n), from (1, n) to (n, n)"),
    "retry_failed": (lambda value: isinstance(value, bool), "True or False"),
    "redo": (lambda value: isinstance(value, bool), "True or False"),
    "exclude_from": _OPTIONAL_PATH,
    "retry_from": _OPTIONAL_PATH,
    "geometry": (lambda value: value in (None, "sform", "qform"), "sform or qform"),
    "checksums": (lambda value: isinstance(value, bool), "True or False"),
    "time_limit": (lambda value: _number(value) and value > 0, "a number of seconds above 0"),
    "max_failures": (lambda value: _number(value) and 0 <= value <= 1, "a share from 0 to 1"),
    "allow_failures": (_allowance, "a whole number of at least 0, or a share from 0.0 to 1.0"),
    "pages": _one_of("flagged", "all", "none"),
    "compute": (_or_none(callable), "a function"),
}
"""What each option of a run may be; `recipe` is checked where it is loaded."""


def check_options(values: Mapping[str, Any]) -> None:
    """Refuse options that are not allowed.

    Raises
    ------
    UsageError
        Naming the option, what came and what is allowed.
    """
    for name, (allowed, words) in _RULES.items():
        if name in values and not allowed(values[name]):
            raise UsageError(f"option {name} is {values[name]!r}; {words} is needed")


def check_output(root: Path, source: Any) -> None:
    """Refuse an output folder that is an input, or lies among raw data.

    Parameters
    ----------
    root : Path
        The output folder; it may not exist.
    source : path or pairs
        A manifest, a BIDS folder, or pairs.

    Raises
    ------
    UsageError
        Naming the dataset, and where results may go.
    """
    root = Path(os.path.realpath(root))
    if root.exists() and not root.is_dir():
        return  # the attempt to write there says so
    given = Path(os.path.realpath(source)) if isinstance(source, str | os.PathLike) else None
    if given is not None and root == given:
        raise UsageError(f"{root} is the input; choose another output folder")
    if given is not None and given.is_dir() and given in root.parents:
        _check_inside(root, given)
    for folder in (root, *root.parents):
        if _is_raw(folder):
            _check_inside(root, folder)


def _check_inside(root: Path, dataset: Path) -> None:
    if root.relative_to(dataset).parts[:1] != (DERIVATIVES,):
        raise UsageError(
            f"{root} lies in the dataset {dataset}, which is never written to; choose a folder outside of it, or "
            f"{dataset / DERIVATIVES / 'warpline'}"
        )


def _is_raw(folder: Path) -> bool:
    """Whether a folder is a raw BIDS dataset by its description."""
    description = read_object(folder / "dataset_description.json")
    return description is not None and description.get("DatasetType", "raw") == "raw"
