"""Options of a group summary."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warpline.cohort.manifest import ID
from warpline.errors import UsageError

JACOBIANS = ("jacobian", "log_jacobian")
"""Maps of the deformation alone."""

IMAGE = "warped"
"""The map that is the registered image."""

MODULATED = "modulated_"
"""Begins the name of a map that was multiplied by the Jacobian determinant."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def label_map(label: int) -> str:
    """Name of the map of one label."""
    return f"label{label}"


@dataclass(frozen=True)
class GroupOptions:
    """Options of a group summary.

    Parameters
    ----------
    maps : sequence of str, optional
        Which maps become 4-D files: ``"log_jacobian"``, ``"jacobian"``, ``"warped"`` (the registered images), names of
        `tissues`, ``"label17"`` for each of `labels`, and ``"modulated_"`` before one of these images. None takes
        ``"log_jacobian"`` and every tissue and label modulated; an empty sequence none at all.
    fwhm : sequence of float
        Smoothing of the maps, full width at half maximum in mm, one file each; 0 leaves them as they are.
    tissues : dict
        Name to pattern of paths, with ``{id}`` where they differ: images in the space of the moving images, such as
        probabilities of grey matter.
    labels : sequence of int
        Labels whose carried regions are maps too.
    with_affine : bool
        Whether Jacobians are those of the whole map, its affine included: volumes as they are in the head. Without it
        they are relative to the size of the head.
    include_doubtful : bool
        Whether pairs with the verdict ``review`` count.
    decisions : path, optional
        Table of `id` and `decision` (pass, review, fail) of people, which replace verdicts.
    participants : path, optional
        Table of `participant_id` and further columns, which are appended to that of the subjects.
    target : path, optional
        The folder to write; ``summary`` in the output folder when None.
    allow_left_out : int or float
        Pairs that may be left out without a decision while the exit code stays 0; a float is a share of all pairs.
    readers : int
        Subjects that are read at once; each takes memory.
    backend, threads
        Where fields are computed, as in `warpline.backends.select`.

    Raises
    ------
    UsageError
        When a value is not allowed.

    Examples
    --------
    >>> from warpline.cohort import GroupOptions
    >>> GroupOptions(tissues={"gm": "data/{id}_gm.nii.gz"}, fwhm=[8]).chosen_maps
    ('log_jacobian', 'modulated_gm')
    """

    maps: Sequence[str] | None = None
    fwhm: Sequence[float] = (0.0,)
    tissues: Mapping[str, str] = field(default_factory=dict)
    labels: Sequence[int] = ()
    with_affine: bool = True
    include_doubtful: bool = False
    decisions: str | os.PathLike[str] | None = None
    participants: str | os.PathLike[str] | None = None
    target: str | os.PathLike[str] | None = None
    allow_left_out: float = 0
    readers: int = 1
    backend: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, pattern in self.tissues.items():
            _check_tissue(name, pattern)
        unknown = [name for name in self.chosen_maps if name not in self.known_maps]
        if unknown:
            raise UsageError(f"map {unknown[0]!r} is unknown; {', '.join(self.known_maps)} are there")
        wrong = [width for width in self.fwhm if not _is_width(width)]
        if wrong or not self.fwhm:
            raise UsageError(f"fwhm is {wrong[0] if wrong else 'empty'}; widths from 0 to 100 mm are needed")
        if self.readers < 1:
            raise UsageError(f"readers is {self.readers}; a whole number of at least 1 is needed")

    @property
    def images(self) -> tuple[str, ...]:
        """Maps that are images which were carried."""
        return (IMAGE, *self.tissues, *map(label_map, self.labels))

    @property
    def known_maps(self) -> tuple[str, ...]:
        """All names that `maps` may hold."""
        return (*JACOBIANS, *self.images, *(MODULATED + name for name in self.images))

    @property
    def chosen_maps(self) -> tuple[str, ...]:
        """The maps that become 4-D files, each once."""
        if self.maps is None:
            return ("log_jacobian", *(MODULATED + name for name in self.images if name != IMAGE))
        return tuple(dict.fromkeys(self.maps))

    @property
    def needs_field(self) -> bool:
        """Whether a map needs the Jacobian."""
        return any(name in JACOBIANS or name.startswith(MODULATED) for name in self.chosen_maps)


def _is_width(width: Any) -> bool:
    return isinstance(width, int | float) and not isinstance(width, bool) and 0 <= width <= 100


def _check_tissue(name: str, pattern: str) -> None:
    if not _NAME.fullmatch(name) or name in (IMAGE, *JACOBIANS) or re.match(r"label\d|modulated", name):
        raise UsageError(f"tissue {name!r} cannot be a name; letters and digits such as gm are needed")
    if ID not in pattern:
        raise UsageError(f"tissue {name}: {pattern!r} has no {ID}; write it where the paths of subjects differ")
