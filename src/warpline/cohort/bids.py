"""BIDS folders: the anatomical images of every subject as pairs, found without an index."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from warpline.cohort.manifest import Pair, check_ids
from warpline.errors import InputError

_ENDINGS = (".nii.gz", ".nii")
_ENTITIES = re.compile(r"sub-[A-Za-z0-9]+(_[a-zA-Z]+-[A-Za-z0-9+]+)*")


def scan(
    folder: str | os.PathLike[str],
    *,
    fixed: str,
    suffix: str = "T1w",
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
) -> list[Pair]:
    """Pairs of every ``sub-*/[ses-*/]anat/*_<suffix>.nii[.gz]`` with one fixed image.

    Only these folders are looked at. A mask ``<name>_desc-brain_mask`` and labels ``<name>_dseg`` that lie beside
    an image go with it.

    Parameters
    ----------
    folder : path
        A BIDS dataset.
    fixed : path
        The image that all are registered to.
    suffix : str
        What the names of the images end with.
    participants, sessions : sequence of str
        Labels, with or without ``sub-`` and ``ses-``; all when empty.

    Raises
    ------
    InputError
        When the folder has no subjects, a participant is not there, or no image is found.
    """
    subjects = _labelled(folder, "sub-")
    if not subjects:
        raise InputError(f"{os.fspath(folder)} has no folders sub-*; a BIDS dataset or a manifest is needed")
    chosen = {f"sub-{label.removeprefix('sub-')}" for label in participants} or set(subjects)
    absent = sorted(chosen - set(subjects))
    if absent:
        raise InputError(f"{os.fspath(folder)} has no {', '.join(absent)}; it has {_some(subjects)}")
    wanted = {f"ses-{label.removeprefix('ses-')}" for label in sessions}
    pairs = [pair for name in subjects if name in chosen for pair in _subject(subjects[name], fixed, suffix, wanted)]
    if not pairs:
        raise InputError(
            f"{os.fspath(folder)} has no sub-*/[ses-*/]anat/*_{suffix}.nii[.gz] of {len(chosen)} subjects; "
            "choose what there is with --suffix"
        )
    check_ids(pairs, os.fspath(folder))
    return pairs


def _subject(folder: str, fixed: str, suffix: str, wanted: set[str]) -> Iterator[Pair]:
    sessions = _labelled(folder, "ses-")
    if not wanted:
        yield from _anatomy(os.path.join(folder, "anat"), fixed, suffix, "")
    for name, path in sessions.items():
        if not wanted or name in wanted:
            yield from _anatomy(os.path.join(path, "anat"), fixed, suffix, name.removeprefix("ses-"))


def _anatomy(folder: str, fixed: str, suffix: str, session: str) -> Iterator[Pair]:
    try:
        names = {entry.name for entry in os.scandir(folder)}
    except FileNotFoundError:
        return
    for name in sorted(names):
        stem, ending = _split(name)
        head = stem.removesuffix(f"_{suffix}")
        if not ending or head == stem or not _ENTITIES.fullmatch(head):
            continue
        beside = {"moving_mask": f"{head}_desc-brain_mask", "moving_labels": f"{head}_dseg"}
        extra: dict[str, Any] = {
            column: os.path.join(folder, other + end)
            for column, other in beside.items()
            for end in reversed(_ENDINGS)
            if other + end in names
        }
        pair = Pair(head, os.path.join(folder, name), os.path.abspath(fixed), session=session)
        yield replace(pair, **extra)


def _split(name: str) -> tuple[str, str]:
    return next(((name.removesuffix(end), end) for end in _ENDINGS if name.endswith(end)), (name, ""))


def _labelled(folder: str | os.PathLike[str], prefix: str) -> dict[str, str]:
    try:
        entries = [entry for entry in os.scandir(folder) if entry.name.startswith(prefix) and entry.is_dir()]
    except OSError as error:
        raise InputError(f"{os.fspath(folder)} cannot be read: {error.strerror}") from None
    return {entry.name: os.path.abspath(entry.path) for entry in sorted(entries, key=lambda entry: entry.name)}


def _some(names: Sequence[str] | dict[str, str]) -> str:
    shown = list(names)[:5]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
