"""The rounds over a group of subjects, one after the other, until the shape of the template settles."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from warpline.backends import Backend
from warpline.cohort import Pair
from warpline.cohort.json_files import encode
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.io.atomic import Transaction
from warpline.io.compression import compress
from warpline.io.drafts import writing
from warpline.io.images import encode_image, read_image
from warpline.recipe import NUMERICS, Recipe
from warpline.space.grid import Grid
from warpline.template.averages import Mean, change, mirrored_mean, sharpness
from warpline.template.judging import Judgement, judge
from warpline.template.layout import ROUND, ROUNDS, STARTS, TEMPLATE, round_folder
from warpline.template.options import Options
from warpline.template.records import LeftOut, RoundRecord
from warpline.template.rounds import Averaging, Registered, register_all, write_starts
from warpline.template.schedule import Stage, recipe_of, stages_of
from warpline.template.shape import MeanMap, mean_map
from warpline.template.start import (
    Extent,
    coarse_grid,
    factors_of,
    mean_of_centred,
    middle_of,
    template_grid,
)
from warpline.template.subjects import Checksums, decided, digest

LIMIT = 0.2
"""Voxels of the template that its shape may move in the last round, where no limit in mm is given."""

LEAST_CHANGE = 0.06
"""Change of the intensities, as a share of their mean, below which they have settled: of brains the next round changes
them by less than half as much, and sharpens the template by 4 %."""

Say = Callable[[str], None]
"""Called with a line for the user."""


@dataclass(frozen=True, eq=False)
class Group:
    """Subjects that are thought to belong to one template, and everything that follows from them.

    Parameters
    ----------
    root : Path
        The output folder.
    subjects : tuple of Pair
        In the order of all sums.
    members : dict
        Checksums of the files of each, by id.
    options : Options
        Of the template.
    backend : Backend
        What computes.
    recipe : Recipe
        How subjects are registered.
    extents : tuple of Extent
        Where the object of each lies.
    grid : Grid
        Of the template.
    stages : tuple of Stage
        The rounds that may run.
    decided : dict
        Options that decide what the template looks like.
    """

    root: Path
    subjects: tuple[Pair, ...]
    members: Mapping[str, Checksums]
    options: Options
    backend: Backend
    recipe: Recipe
    extents: tuple[Extent, ...]
    grid: Grid
    stages: tuple[Stage, ...]
    decided: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        root: Path,
        subjects: Sequence[Pair],
        extents: Sequence[Extent],
        options: Options,
        backend: Backend,
        *,
        members: Mapping[str, Checksums],
    ) -> Group:
        """Plan the rounds of subjects, whose objects lie in `extents`."""
        recipe, grid = options.load_recipe(), template_grid(extents, options.spacing)
        stages = stages_of(recipe, factors_of(grid), options.rounds, symmetric=options.symmetric)
        planned: dict[str, Any] = {"grid": grid, "stages": tuple(stages), "decided": decided(options)}
        return cls(root, tuple(subjects), members, options, backend, recipe, tuple(extents), **planned)

    @property
    def limit(self) -> float:
        """Mean displacement in mm below which the shape has settled."""
        given = self.options.limit
        return LIMIT * float(self.grid.voxel_size[0]) if given is None else given

    def key(self, stage: Stage) -> str:
        """Digest of all that a round follows from."""
        return digest(stage, self.decided, dict(self.members), NUMERICS)

    def grid_after(self, stage: Stage) -> Grid:
        """The grid of the template that a round makes: that of the next one."""
        following = self.stages[min(stage.number + 1, len(self.stages) - 1)]
        return coarse_grid(self.grid, following.factor)

    def ends_with(self, stage: Stage, record: RoundRecord) -> bool:
        """Whether no round follows: the last one was reached, or the shape has settled at the template's voxel size."""
        if stage == self.stages[-1]:
            return True
        return stage.factor == 1 and stage.kind == self.stages[-1].kind and _is_settled(record, self.limit)

    def register(self, stage: Stage) -> Registered:
        """Register all subjects to the template of the round before."""
        before = round_folder(self.root, stage.number - 1)
        folder = round_folder(self.root, stage.number)
        recipe = recipe_of(stage, self.recipe)
        return register_all(
            self.subjects, before / TEMPLATE, folder, recipe, options=self.options, starts=before / STARTS
        )

    def registered(self, stage: Stage) -> Registered:
        """All subjects of a round that is done."""
        before = round_folder(self.root, stage.number - 1)
        return Registered(round_folder(self.root, stage.number), before / TEMPLATE, self.subjects, {})


@dataclass(frozen=True, eq=False)
class Ended:
    """How the rounds over a group ended.

    Parameters
    ----------
    records : tuple of RoundRecord
        Of all rounds.
    left_out : tuple of LeftOut
        Who turned out not to belong to the group; the last round is not done then.
    settled : bool
        Whether the shape settled, rather than the number of rounds being reached.
    averaged : Averaged, optional
        What the last round made, where it ran in this process.
    """

    records: tuple[RoundRecord, ...]
    left_out: tuple[LeftOut, ...] = ()
    settled: bool = False
    averaged: Averaged | None = None


@dataclass(frozen=True, eq=False)
class Averaged:
    """What a round made.

    Parameters
    ----------
    record : RoundRecord
        What is recorded of it.
    averaging : Averaging
        How its subjects became a mean.
    mean : Mean
        The mean image.
    """

    record: RoundRecord
    averaging: Averaging
    mean: Mean


def run_rounds(group: Group, say: Say) -> Ended:
    """Run all rounds that are not done; subjects that do not belong to the group end them.

    Parameters
    ----------
    group : Group
        The subjects.
    say : callable
        Called with a line for every round.
    """
    records: list[RoundRecord] = []
    made: Averaged | None = None
    for stage in group.stages:
        folder = round_folder(group.root, stage.number)
        record = RoundRecord.read(folder / ROUND)
        if record is None or record.key != group.key(stage):
            _remove_later_rounds(group.root, stage.number)  # of other subjects or options
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            found = _begin(group, stage, folder) if stage.kind == "centred" else _advance(group, stage, folder)
            if isinstance(found, tuple):
                return Ended(tuple(records), found)
            made = found if isinstance(found, Averaged) else None
            record = found.record if isinstance(found, Averaged) else found
        records.append(record)
        say(described(record))
        if stage.number:
            _remove_registrations(round_folder(group.root, stage.number - 1))
        if stage.number > 1:
            shutil.rmtree(round_folder(group.root, stage.number - 2) / STARTS, ignore_errors=True)
        if group.ends_with(stage, record):
            break
    return Ended(tuple(records), settled=_is_settled(records[-1], group.limit), averaged=made)


def described(record: RoundRecord) -> str:
    """A round in one line.

    Parameters
    ----------
    record : RoundRecord
        The round.

    Examples
    --------
    >>> from warpline import template
    >>> template.described(template.RoundRecord(0, "", "centred", 4.0, None, None, 0.05, None, {}, {}))
    'round 0: centred, 4 mm, sharpness 0.050/mm'
    """
    if record.shape_mm is None:
        return f"round {record.number}: {record.kind}, {record.voxel:g} mm, sharpness {record.sharpness:.3f}/mm"
    return (
        f"round {record.number}: {record.kind}, {record.voxel:g} mm, shape moved {record.shape_mm:.3f} mm, "
        f"sharpness {record.sharpness:.3f}/mm, residual {record.residual:.3f}"
    )


def _is_settled(record: RoundRecord, limit: float) -> bool:
    known = record.shape_mm is not None and record.change is not None
    return known and record.shape_mm < limit and record.change < LEAST_CHANGE  # type: ignore[operator]


def _begin(group: Group, stage: Stage, folder: Path) -> RoundRecord:
    """The first template: the mean of all subjects, or an image that was given, with their centres brought together."""
    grid, options, backend = group.grid_after(stage), group.options, group.backend
    given = [one.moving for one in group.subjects] if options.initial is None else [os.fspath(options.initial)]
    image = mean_of_centred(given, middle_of(group.extents), grid, options.geometry, backend=backend)
    if stage.symmetric:
        image = mirrored_mean(image)
    voxel = float(grid.voxel_size[0])
    record = RoundRecord(0, group.key(stage), stage.kind, voxel, None, None, sharpness(image), None, {}, {})
    _write(folder, image, record)
    return record


def _advance(group: Group, stage: Stage, folder: Path) -> Averaged | tuple[LeftOut, ...]:
    """Register, judge and average all subjects; or those that do not belong."""
    registered = group.register(stage)
    judged = judge(registered, group.options, group.backend, sides="both" if stage.compares_sides else None)
    if judged.left_out:
        return judged.left_out
    averaging = averaging_of(group, stage, registered, tuple(judged.fits.weight.tolist()))
    made = averaging.image([one.moving for one in group.subjects], symmetric=stage.symmetric)
    record = _record(group, stage, judged, averaging.mean, made.image)
    record = replace(record, residual=made.residual)
    if not group.ends_with(stage, record):
        warped = group.stages[stage.number + 1].continues and stage.kind == "deformable"
        write_starts(registered, averaging.mean, folder, grid=made.image.grid, warped=warped, backend=group.backend)
    _write(folder, made.image, record)
    return Averaged(record, averaging, made)


def averaging_of(group: Group, stage: Stage, registered: Registered, weights: tuple[float, ...]) -> Averaging:
    """How registered subjects become the template of a round."""
    options, grid = group.options, read_image(registered.fixed).grid
    mean = mean_map(registered.maps(), weights, grid, group.backend, symmetric=stage.symmetric, step=options.step)
    return Averaging(registered, weights, mean, group.grid_after(stage), options, group.backend)


def _record(group: Group, stage: Stage, judged: Judgement, mean: MeanMap, image: Image) -> RoundRecord:
    before = read_image(judged.registered.fixed)
    ids = [one.id for one in judged.registered.subjects]
    return RoundRecord(
        number=stage.number,
        key=group.key(stage),
        kind=stage.kind,
        voxel=float(image.grid.voxel_size[0]),
        shape_mm=float(mean.length[foreground_mask(before)].mean()),
        change=change(before, image) if before.grid == image.grid else None,
        sharpness=sharpness(image),
        residual=None,
        fits=dict(zip(ids, judged.fits.fit.tolist(), strict=True)),
        weights=dict(zip(ids, judged.fits.weight.tolist(), strict=True)),
        sides=judged.sides,
    )


def _write(folder: Path, image: Image, record: RoundRecord) -> None:
    with Transaction() as files:
        files.reserve([folder / TEMPLATE, folder / ROUND])
        files.write(folder / TEMPLATE, compress(encode_image(image)))
        files.write(folder / ROUND, encode(record.as_record()))


def _remove_later_rounds(root: Path, number: int) -> None:
    for path in (root / ROUNDS).glob("[0-9]*"):
        if int(path.name) > number:
            shutil.rmtree(path, ignore_errors=True)


def _remove_registrations(folder: Path) -> None:
    """Remove the maps of a round that another one followed; its template and its record stay."""
    for path in folder.glob("sub-*"):
        shutil.rmtree(path, ignore_errors=True)
