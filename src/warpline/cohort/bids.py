"""BIDS folders, those of fMRIPrep and Clinica too: entities of names, filters, anatomical images of subjects."""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from warpline.cohort.manifest import Pair, abbreviate, check_ids
from warpline.errors import InputError, UsageError
from warpline.io.limits import MEGABYTE, read_bounded

_log = logging.getLogger(__name__)

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


# -- folders of subjects ----------------------------------------------------------------------------------------------

MODALITIES = ("anat", "t1_linear", "t2_linear", "flair_linear")
"""Folders of a subject or session that hold anatomical images: of BIDS, and of Clinica's CAPS."""

_PLACED = ("space", "res", "den")
"""Entities of images that were resampled; they are taken only when asked for."""

_PROCESSED = (*_PLACED, "desc")
_LABELS = ("", "aseg", "aparcaseg")
"""Descriptions of segmentations, the one that is taken first."""


def scan(
    folder: str | os.PathLike[str],
    *,
    fixed: str,
    wanted: Filter | None = None,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
) -> list[Pair]:
    """Pairs of the anatomical images of every subject with one fixed image.

    ``sub-*/[ses-*/]anat/*_<suffix>.nii[.gz]`` is looked at, and the same under ``subjects/`` and in ``t1_linear`` for
    Clinica. Images in another space (``space-``, ``res-``) are left out unless the filter names the space. Where files
    differ by ``desc-`` alone, the filter must say which. A mask ``desc-brain_mask`` and labels ``dseg`` of the same
    other entities that lie beside an image go with it. Subjects without an image are named in a warning.

    Parameters
    ----------
    folder : path
        A BIDS dataset, or one of derivatives.
    fixed : path
        The image that all are registered to.
    wanted : Filter, optional
        Which images are taken; all T1w in their own space by default.
    participants, sessions : sequence of str
        Labels, with or without ``sub-`` and ``ses-``; all when empty.

    Raises
    ------
    InputError
        When the folder has no subjects, a participant or session is not there, no image is found, or several files
        differ by their description alone.
    """
    wanted = wanted or Filter()
    root, name = _subjects_in(folder), os.fspath(folder)
    subjects = _labelled(root, "sub-")
    if not subjects:
        raise InputError(f"{name} has no folders sub-*; a BIDS dataset or a manifest is needed")
    chosen = _chosen(name, list(subjects), participants)
    search = _Search(name, os.path.abspath(fixed), wanted)
    labels = {f"ses-{label.removeprefix('ses-')}" for label in sessions}
    pairs = {subject: list(search.subject(subjects[subject], labels)) for subject in sorted(chosen)}
    _name_missing(name, wanted.suffix, [subject for subject, own in pairs.items() if not own], len(chosen), search)
    found = [pair for own in pairs.values() for pair in own]
    check_ids(found, name)
    return found


def _chosen(folder: str, subjects: Sequence[str], participants: Sequence[str]) -> set[str]:
    chosen = {f"sub-{label.removeprefix('sub-')}" for label in participants} or set(subjects)
    absent = sorted(chosen - set(subjects))
    if absent:
        raise InputError(f"{folder} has no {', '.join(absent)}; it has {abbreviate(subjects)}")
    return chosen


def _name_missing(folder: str, suffix: str, missing: list[str], asked: int, search: _Search) -> None:
    """Warn of subjects without an image; refuse when all are."""
    if not missing:
        return
    hint = search.hint()
    if len(missing) == asked:
        raise InputError(
            f"{folder} has no sub-*/[ses-*/]anat/*_{suffix}.nii[.gz] that is wanted, of {asked} subjects; {hint}"
        )
    _log.warning("%s: no %s image of %s; %s", folder, suffix, abbreviate(missing), hint)


@dataclass
class _Search:
    """Looks for the images of one dataset, and remembers what it passed over."""

    folder: str
    fixed: str
    wanted: Filter

    def __post_init__(self) -> None:
        self.passed: set[str] = set()

    def hint(self) -> str:
        """What to do about images that were not found."""
        if not self.passed:
            wanted = " and its filter" if self.wanted.wanted else ""
            return f"choose what there is with --suffix{wanted}"
        return (
            f"there is {abbreviate(sorted(self.passed))}; choose it with --entity {' --entity '.join(self._entities())}"
        )

    def subject(self, folder: str, sessions: set[str]) -> Iterator[Pair]:
        """Pairs of one subject."""
        if not sessions:
            yield from self._anatomy(folder, "")
        for name, path in _labelled(folder, "ses-").items():
            if not sessions or name in sessions:
                yield from self._anatomy(path, name.removeprefix("ses-"))

    def _anatomy(self, folder: str, session: str) -> Iterator[Pair]:
        for place in (os.path.join(folder, modality) for modality in MODALITIES):
            names = _files_in(place)
            images = self._images(parsed for name in sorted(names) if (parsed := BidsName.parse(name)))
            for image in images:
                pair = Pair(joined(image.without(*_PROCESSED)), os.path.join(place, image.name), self.fixed)
                yield replace(pair, session=session, **_beside(image, place, names))

    def _images(self, names: Iterator[BidsName]) -> Iterator[BidsName]:
        """The images that are wanted: one of each set of entities that are no matter of processing."""
        groups: defaultdict[tuple[tuple[str, str], ...], list[BidsName]] = defaultdict(list)
        for name in names:
            if name.suffix != self.wanted.suffix or not self.wanted.takes(name):
                continue
            if any(key in name.entities for key in _PLACED) and not any(key in self.wanted.wanted for key in _PLACED):
                self.passed.add(joined((key, name.entities[key]) for key in _PROCESSED if key in name.entities))
                continue
            groups[name.without(*_PROCESSED)].append(name)
        for alike in groups.values():
            if len(alike) > 1:
                names_ = ", ".join(name.name for name in alike)
                raise InputError(f"{self.folder}: {names_} are images of one scan; {_telling(alike)}")
            yield alike[0]

    def _entities(self) -> list[str]:
        first = sorted(self.passed)[0]
        return [part.replace("-", "=", 1) for part in first.split("_")]


def _telling(alike: list[BidsName]) -> str:
    """How to choose among images of one scan."""
    last = alike[-1].entities
    keys = [key for key in _PROCESSED if len({name.entities.get(key) for name in alike}) > 1]
    if not keys:
        return "remove one"
    return f"choose one with --entity, such as --entity {keys[0]}={last.get(keys[0], 'none')}"


def _beside(image: BidsName, folder: str, names: set[str]) -> dict[str, Any]:
    """Paths of the brain mask and the segmentation that belong to an image, by the column of a manifest."""
    there = {
        "moving_mask": (_named(image, "brain", "mask"),),
        "moving_labels": tuple(_named(image, description, "dseg") for description in _LABELS),
    }
    found = {
        column: next((stem + end for stem in stems for end in ENDINGS if stem + end in names), None)
        for column, stems in there.items()
    }
    return {column: os.path.join(folder, name) for column, name in found.items() if name}


def _named(image: BidsName, description: str, suffix: str) -> str:
    entities = (*image.without("desc"), *((("desc", description),) if description else ()))
    return f"{joined(entities)}_{suffix}"


def _subjects_in(folder: str | os.PathLike[str]) -> str:
    """Where the folders of subjects lie: of Clinica's CAPS in ``subjects``."""
    inner = os.path.join(folder, "subjects")
    return inner if os.path.isdir(inner) else os.fspath(folder)


def _files_in(folder: str) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from None


def _labelled(folder: str | os.PathLike[str], prefix: str) -> dict[str, str]:
    try:
        entries = [entry for entry in os.scandir(folder) if entry.name.startswith(prefix) and entry.is_dir()]
    except OSError as error:
        raise InputError(f"{os.fspath(folder)} cannot be read: {error.strerror}") from None
    return {entry.name: os.path.abspath(entry.path) for entry in sorted(entries, key=lambda entry: entry.name)}
