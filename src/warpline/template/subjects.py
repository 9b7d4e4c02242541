"""The subjects of a template: from files, a manifest or a BIDS folder, in the order of their ids."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from warpline.cohort import Pair, bids, read_manifest
from warpline.cohort.layout import SUFFIXES, checksum, output_paths, without_ending
from warpline.cohort.manifest import TABLES, check_ids
from warpline.errors import InputError
from warpline.template.layout import SPACE
from warpline.template.options import Options

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Sequence[Pair]
"""A manifest, a BIDS folder, files of one image each, or pairs, whose fixed images do not count."""

Checksums = dict[str, str]
"""SHA-256 of every file of a subject, by what it is."""

METHOD = 2
"""Rises when rounds of the same subjects and options would give other numbers, beside the numerics of registrations."""

_NO_FILE = "/"
"""Stands for the fixed image while tables and folders are read."""

_INPUTS = ("moving", "moving_mask", "moving_labels")


def load_subjects(source: Source, options: Options) -> list[Pair]:
    """All subjects, by their ids, with absolute paths; what a template does not take of them is left out.

    Raises
    ------
    InputError
        When the table or the folder cannot be read, an id stands twice, or a subject lacks a channel.
    """
    subjects, folder = _read(source, options)
    check_ids(subjects, "the subjects")
    placed = [_placed(one, options.channels, folder) for one in subjects]
    return sorted(placed, key=lambda one: one.id)


def inputs_of(subject: Pair) -> dict[str, str]:
    """What each file of a subject is, and its path; channels by their names."""
    own = {name: path for name in _INPUTS if (path := getattr(subject, name))}
    return {**own, **{f"channel {name}": path for name, path in subject.columns.items()}}


def checksums_of(subject: Pair) -> Checksums:
    """SHA-256 of every file of a subject.

    Raises
    ------
    InputError
        When one cannot be read.
    """
    try:
        return {name: checksum(path) for name, path in inputs_of(subject).items()}
    except OSError as error:
        raise InputError(f"{subject.id}: {error.filename} cannot be read: {error.strerror}; correct its path") from None


def decided(options: Options) -> dict[str, Any]:
    """All that decides what a template of given subjects looks like: options, the image to start from, the method."""
    initial = None if options.initial is None else os.path.abspath(options.initial)
    started = None if initial is None else checksums_of(Pair("the initial image", initial))["moving"]
    return {**options.deciding(), "initial": started, "method": METHOD}


def digest(*values: object) -> str:
    """A short digest of plain values."""
    return hashlib.blake2b(repr(values).encode(), digest_size=8).hexdigest()


def label_of(subject: Pair) -> str:
    """What files of a subject are called."""
    return output_paths(replace(subject, space=SPACE)).stem


def _read(source: Source, options: Options) -> tuple[list[Pair], str]:
    """Subjects as they are written, and the folder that paths of their channels are relative to."""
    if isinstance(source, str | os.PathLike):
        source = [source]
    pairs = [one for one in source if isinstance(one, Pair)]
    if pairs:
        return pairs, os.getcwd()
    files = [os.fspath(one) for one in source if not isinstance(one, Pair)]
    if len(files) == 1 and files[0].endswith(tuple(TABLES)):
        return read_manifest(files[0], fixed=_NO_FILE), os.path.dirname(os.path.abspath(files[0]))
    if len(files) == 1 and os.path.isdir(files[0]):
        return bids.scan(files[0], fixed=_NO_FILE, wanted=bids.Filter.of(options.suffix, {}, None)), files[0]
    return [Pair(id, path) for id, path in zip(_ids_of(files), files, strict=True)], os.getcwd()


def _ids_of(files: Sequence[str]) -> list[str]:
    """Ids of files: their names without endings and what all end with alike, else those of their folders."""
    stems = [os.path.basename(without_ending(path)) for path in files]
    ends = {stem.rpartition("_")[2] for stem in stems if "_" in stem}
    known = all(end.lower() in SUFFIXES for end in ends)  # of a single file that is added, nothing else tells
    shared = len(ends) == 1 and all("_" in stem for stem in stems) and (len(files) > 1 or known)
    ids = [stem.rpartition("_")[0] for stem in stems] if shared else stems
    if len(set(ids)) == len(ids):
        return ids
    folders = [Path(os.path.abspath(path)).parent.name for path in files]
    return folders if len(set(folders)) == len(folders) else ids


def _placed(subject: Pair, channels: Sequence[str], folder: str) -> Pair:
    lacking = [name for name in channels if not subject.columns.get(name)]
    if lacking:
        raise InputError(f"{subject.id} has no {lacking[0]}; every subject needs each channel")
    further = {name: os.path.abspath(os.path.join(folder, subject.columns[name])) for name in channels}
    own = {name: os.path.abspath(path) for name in _INPUTS if (path := getattr(subject, name))}
    return Pair(subject.id, **own, columns=further, session=subject.session)
