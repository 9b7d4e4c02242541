"""The files of a group summary: every subject is read once, in the order of the manifest, and then let go."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from warpline.cohort.group.label_statistics import (
    MOST_LABELS,
    ProbabilityMaps,
    Volumes,
    VolumeTables,
    label_volumes,
)
from warpline.cohort.group.options import IMAGE
from warpline.cohort.group.running_statistics import RunningStatistics
from warpline.cohort.group.subject_maps import LEAST_DETERMINANT, MapSettings, Registered, SubjectMaps, Volume, smoothed
from warpline.cohort.group.subjects import LeftOut, Subject
from warpline.cohort.json_files import encode
from warpline.cohort.manifest import abbreviate
from warpline.cohort.participants import participant_of
from warpline.cohort.tables import encode_table
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.nifti_series import SeriesFile, size_of_series
from warpline.io.relative_paths import relative_path
from warpline.space.grid import Grid

RECORD = "summary.json"
"""Written last; a folder that has it is a group summary."""

MASK = "mask.nii.gz"
SUBJECTS = "subjects.tsv"
LEFT_OUT = "left_out.tsv"
PROBABILITIES = "label_probabilities"

COVARIATES = ("determinant",)
"""Columns of the results that stand in the table of subjects: the size of the head, over that of the fixed image."""


@dataclass(frozen=True)
class Group:
    """What is known before a map is read.

    Parameters
    ----------
    settings : MapSettings
        What the maps have in common.
    subjects : list of Subject
        Who counts, in the order of the volumes.
    registered : list of Registered
        What the registration of each left.
    left_out : list of LeftOut
        Who does not count.
    mask : Image
        Object of the fixed image, uint8.
    notes : tuple of str
        What was noticed so far.
    """

    settings: MapSettings
    subjects: Sequence[Subject]
    registered: Sequence[Registered]
    left_out: Sequence[LeftOut]
    mask: Image
    notes: tuple[str, ...]

    @property
    def has_labels(self) -> bool:
        """Whether a subject has labels that the run carried."""
        return any("warped_labels" in one.kinds for one in self.registered)


def series_name(name: str, fwhm: float) -> str:
    """Name of the 4-D file of a map."""
    return f"{name}_fwhm-{fwhm:g}.nii" if fwhm else f"{name}.nii"


def planned_sizes(group: Group) -> dict[str, int]:
    """Bytes of the 4-D files by name, and of the images of means at most; probabilities grow with the labels."""
    options, grid = group.settings.options, group.settings.grid
    whole = size_of_series(grid, len(group.subjects))
    series = {series_name(name, width): whole for name in options.chosen_maps for width in options.fwhm}
    images = 2 * len({IMAGE, *options.chosen_maps}) + 1
    return {**series, "means and standard deviations": size_of_series(grid, images)}


@dataclass(frozen=True)
class _Read:
    """What is kept of one subject while its maps are written."""

    id: str
    maps: dict[str, Volume]
    series: dict[str, Volume]
    labels: NDArray[np.int64] | None
    volumes: tuple[str, Volumes, Volumes] | None
    raised_voxels: int
    notes: list[str]


class FolderWriter:
    """Fills the folder of a group summary.

    Parameters
    ----------
    group : Group
        Who and what.
    readers : int
        Subjects that are read at once.
    """

    def __init__(self, group: Group, readers: int) -> None:
        self.warnings = list(group.notes)
        self._group, self._readers = group, readers
        self._raised: list[int] = []
        self._noted: list[str] = []
        self._first_note = ""

    def fill(self, folder: Path) -> None:
        """Write everything into an empty folder, the record last."""
        names, grid = self._group.settings.options.chosen_maps, self._group.settings.grid
        statistics = {name: RunningStatistics(grid.shape) for name in dict.fromkeys((IMAGE, *names))}
        with ExitStack() as files:
            tables = VolumeTables(
                files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline="", dir=folder))
            )
            probabilities = self._probabilities(folder, files)
            series = {
                name: files.enter_context(SeriesFile(folder / name, grid, len(self._group.subjects)))
                for name in self._series_names()
            }
            for read in self._all():
                self._raised.append(read.raised_voxels)
                self._noted += [read.id] if read.notes else []
                self._first_note = self._first_note or next(iter(read.notes), "")
                tables.add(read.id, read.volumes)
                for name, running in statistics.items():
                    running.add(read.maps[name])
                for name, volume in read.series.items():
                    series[name].append(volume)
                if probabilities is not None and read.labels is not None:
                    probabilities.add(read.labels)
                del read  # before the next one is read
            tables.write(folder)
            if probabilities is not None:
                rows = [(volume, label, probabilities.count) for volume, label in probabilities.finish()]
                _write_table(folder / f"{PROBABILITIES}.tsv", ("volume", "label", "subjects"), rows)
        self._note(tables)
        self._write_images(folder, statistics)
        self._write_subjects(folder)
        (folder / RECORD).write_bytes(encode(self._record(tables)))

    def _series_names(self) -> list[str]:
        options = self._group.settings.options
        return [series_name(name, width) for name in options.chosen_maps for width in options.fwhm]

    def _probabilities(self, folder: Path, files: ExitStack) -> ProbabilityMaps | None:
        if not self._group.has_labels:
            return None
        grid = self._group.settings.grid
        return ProbabilityMaps(files.enter_context(SeriesFile(folder / f"{PROBABILITIES}.nii", grid, MOST_LABELS)))

    def _all(self) -> Iterator[_Read]:
        group = self._group
        readers = (partial(self._read_or_name, *one) for one in zip(group.subjects, group.registered, strict=True))
        return in_order(readers, self._readers)

    def _read_or_name(self, subject: Subject, registered: Registered) -> _Read:
        try:
            return self._read(subject, registered)
        except InputError as error:
            raise InputError(f"{subject.id}: {error}; --decisions with fail leaves this pair out") from None

    def _read(self, subject: Subject, registered: Registered) -> _Read:
        settings = self._group.settings
        options, grid = settings.options, settings.grid
        opened = SubjectMaps(settings, subject, registered)
        maps = {name: opened.image(name) for name in dict.fromkeys((IMAGE, *options.chosen_maps))}
        series = {
            series_name(name, width): smoothed(maps[name], grid, width)
            for name in options.chosen_maps
            for width in options.fwhm
        }
        labels = opened.labels if opened.has("warped_labels") else None
        volumes = label_volumes(opened, grid, settings.backend)
        return _Read(subject.id, maps, series, labels, volumes, opened.raised_voxels, opened.notes)

    def _write_images(self, folder: Path, statistics: Mapping[str, RunningStatistics]) -> None:
        grid = Grid(self._group.settings.grid.shape, self._group.settings.grid.affine)  # slices get a third axis too
        write_image(Image(self._group.mask.data, grid), folder / MASK)
        for name, running in statistics.items():
            write_image(Image(running.mean(), grid), folder / f"{name}_mean.nii.gz")
            write_image(Image(running.deviation(), grid), folder / f"{name}_sd.nii.gz")

    def _write_subjects(self, folder: Path) -> None:
        group = self._group
        more = list(dict.fromkeys(name for subject in group.subjects for name in subject.pair.columns))
        own = [name for name in ("participant_id", "raised_voxels") if name not in more]
        rows = []
        for subject, raised in zip(group.subjects, self._raised, strict=True):
            made = {"participant_id": participant_of(subject.id), "raised_voxels": raised}
            numbers = [subject.result.metrics.get(name) for name in COVARIATES]
            columns = [subject.pair.columns.get(name) for name in more]
            rows.append((subject.id, *(made[name] for name in own), subject.verdict, *numbers, *columns))
        _write_table(folder / SUBJECTS, ("id", *own, "verdict", *COVARIATES, *more), rows)
        left = [(one.id, one.status, one.verdict or None, one.reason) for one in group.left_out]
        _write_table(folder / LEFT_OUT, ("id", "status", "verdict", "reason"), left)

    def _note(self, tables: VolumeTables) -> None:
        """What was noticed while the subjects were read."""
        folding = [one.id for one, raised in zip(self._group.subjects, self._raised, strict=True) if raised]
        if folding:
            self.warnings.append(
                f"determinants below {LEAST_DETERMINANT} were raised to it before their logarithm was taken, in "
                f"{abbreviate(folding)}: column raised_voxels of {SUBJECTS}"
            )
        if self._noted:
            self.warnings.append(f"tissues of {abbreviate(self._noted)}: {self._first_note}")
        lacking = tables.lacking(self._group.settings.options.labels)
        if lacking:
            self.warnings.append(
                f"no subject has the labels {', '.join(map(str, lacking))}: their maps are 0 everywhere"
            )
        if "fixed" in tables.sources:
            self.warnings.append(
                "volumes of subjects without moving labels are those of the fixed labels carried back by the inverse "
                "(column labels_from); they are in no map of probabilities"
            )

    def _record(self, tables: VolumeTables) -> dict[str, Any]:
        group, options = self._group, self._group.settings.options
        return {
            "warpline": version("warpline"),
            "fixed": relative_path(group.subjects[0].pair.fixed, group.settings.root),
            "subjects": len(group.subjects),
            "left_out": len(group.left_out),
            "include_doubtful": options.include_doubtful,
            "maps": list(options.chosen_maps),
            "fwhm_mm": list(options.fwhm),
            "tissues": dict(options.tissues),
            "jacobian": "of the whole map" if options.with_affine else "of the displacement, the affine left out",
            "recipes": sorted({one.recipe for one in group.registered}),
            "labels_from": sorted(tables.sources),
            "warnings": self.warnings,
        }


def _write_table(path: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    path.write_bytes(encode_table(header, rows))


Result = TypeVar("Result")


def in_order(calls: Iterable[Callable[[], Result]], readers: int) -> Iterator[Result]:
    """What each call returns, in their order; so many run at once, and no result waits beside them.

    Parameters
    ----------
    calls : iterable of callable
        Without arguments.
    readers : int
        How many threads.
    """
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        for call in calls:
            ahead.append(pool.submit(call))
            if len(ahead) == readers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
