"""Labels of a group: volumes of every subject in two spaces, and how many subjects have a label at a voxel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.cohort.group.subject_maps import SubjectMaps, whole
from warpline.cohort.layout import fingerprint
from warpline.cohort.tables import MISSING, escape
from warpline.errors import InputError
from warpline.images import Image
from warpline.images.checks import check_one_volume
from warpline.io.images import read_grid, read_image
from warpline.io.nifti_series import SeriesFile
from warpline.operations import read_chain
from warpline.resampling import INTERPOLATIONS
from warpline.space.grid import Grid

MOST_LABELS = 2000
"""Labels of a probability map: each is a volume in a file."""

_POSITIONS = {"native": 2, "template": 3}
"""Where the volumes in each space stand in a line of the spool."""

Volumes = dict[int, float]
"""Label to mm³; 0, the background, is left out."""


def volumes_of(labels: NDArray[np.int64], grid: Grid) -> Volumes:
    """Volume of every label (I, J, K) but 0 on a grid, in mm³."""
    size = abs(float(np.linalg.det(grid.affine[:3, :3])))
    found, counts = np.unique(labels[labels != 0], return_counts=True)
    return {int(label): int(count) * size for label, count in zip(found, counts, strict=True)}


def label_volumes(maps: SubjectMaps, grid: Grid, backend: Backend) -> tuple[str, Volumes, Volumes] | None:
    """Where the labels of a subject come from, and their volumes in native and in template space.

    Moving labels are counted in their own file and as the run carried them. Where there are none, fixed labels are
    carried back onto the moving grid by the inverse. None where the pair has no labels at all.
    """
    pair = maps.subject.pair
    if pair.moving_labels and maps.has("warped_labels"):
        own = read_image(pair.moving_labels, maps.geometry)
        return "moving", volumes_of(whole(own), own.grid), volumes_of(maps.labels, grid)
    if not pair.fixed_labels:
        return None
    fixed = _fixed_labels(pair.fixed_labels, maps.geometry, fingerprint(pair.fixed_labels))
    native = read_grid(pair.moving, maps.geometry)
    back = read_chain(_inverse(maps), backend=backend)
    carried = INTERPOLATIONS["label"](fixed, back, native, outside=0.0, backend=backend)
    return "fixed", volumes_of(whole(carried), native), volumes_of(whole(fixed), fixed.grid)


@lru_cache(maxsize=2)
def _fixed_labels(path: str, geometry: str | None, stat: tuple[int, int]) -> Image:
    labels = read_image(path, geometry)
    check_one_volume(labels)
    return labels


def _inverse(maps: SubjectMaps) -> list[str]:
    """The transforms that carry fixed labels back: inverse affine, then the inverse warp, computed where it is not."""
    affine = [f"[{maps.path('affine')},1]"]
    if maps.has("inverse_warp"):
        return [*affine, str(maps.path("inverse_warp"))]
    return [*affine, f"[{maps.path('warp')},1]"] if maps.has("warp") else affine


class VolumeTables:
    """The volumes of all subjects, kept in a file until all labels are known.

    Parameters
    ----------
    spool : file
        Open for reading and writing text; a line of JSON per subject.
    """

    def __init__(self, spool: IO[str]) -> None:
        self.sources: set[str] = set()
        self._spool = spool
        self._labels: set[int] = set()

    def add(self, id: str, found: tuple[str, Volumes, Volumes] | None) -> None:
        """Take down the volumes of one more subject."""
        source, native, template = found or (None, {}, {})
        self._labels |= native.keys() | template.keys()
        self.sources |= set() if source is None else {source}
        self._spool.write(json.dumps([id, source, native, template]) + "\n")

    def lacking(self, labels: Iterable[int]) -> list[int]:
        """Those of some labels that no subject has."""
        return [label for label in labels if label not in self._labels]

    def write(self, folder: Path) -> None:
        """Write a table for each space, in mm³, a row per subject; none where nobody has labels."""
        for space, position in _POSITIONS.items() if self.sources else ():
            with (folder / f"label_volumes_{space}.tsv").open("w", encoding="utf-8", newline="") as file:
                file.writelines("\t".join(cells) + "\n" for cells in self._rows(position))

    def _rows(self, position: int) -> Iterator[list[str]]:
        labels = sorted(self._labels)
        yield ["id", "labels_from", *(f"label{label}" for label in labels)]
        self._spool.seek(0)
        for line in self._spool:
            row: list[Any] = json.loads(line)
            volumes: Mapping[str, float] = row[position]
            cells = ([MISSING] * len(labels)) if row[1] is None else [_mm3(volumes, label) for label in labels]
            yield [escape(row[0]), row[1] or MISSING, *cells]


def _mm3(volumes: Mapping[str, float], label: int) -> str:
    return f"{volumes.get(str(label), 0.0):.6g}"


class ProbabilityMaps:
    """Share of the subjects that have each label at a voxel, counted in a file.

    Parameters
    ----------
    series : SeriesFile
        Takes a volume for each label; its grid is that of the labels.
    """

    def __init__(self, series: SeriesFile) -> None:
        self.count = 0
        self._series = series
        self._volumes: dict[int, int] = {}

    def add(self, labels: NDArray[np.int64]) -> None:
        """Count the labels (I, J, K) of one more subject.

        Raises
        ------
        InputError
            When there are more labels than `MOST_LABELS`.
        """
        self.count += 1
        inside = np.flatnonzero(labels.T)
        found, which = np.unique(labels.T.ravel()[inside], return_inverse=True)
        self._announce(found.tolist(), labels.shape)
        if not found.size:
            return
        volumes = np.array([self._volumes[int(label)] for label in found], np.int64)
        self._series.volumes().reshape(-1)[volumes[which] * labels.size + inside] += 1

    def finish(self) -> Iterator[tuple[int, int]]:
        """Make shares of the counts; the volume of each label, and the label."""
        if self._volumes:
            for volume in self._series.volumes():
                volume /= np.float32(self.count)
        return ((volume, label) for label, volume in self._volumes.items())

    def _announce(self, labels: Iterable[int], shape: tuple[int, ...]) -> None:
        new = [label for label in labels if label not in self._volumes]
        if len(self._volumes) + len(new) > MOST_LABELS:
            raise InputError(f"there are more than {MOST_LABELS} labels; label images hold few whole numbers")
        for label in new:
            self._volumes[label] = len(self._volumes)
            self._series.append(np.zeros(shape, np.float32))
