"""A group summary: who counts, what the files will take, and the folder, written whole or not at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from warpline.backends import select
from warpline.cohort.checks import check_output
from warpline.cohort.group.folder import RECORD, FolderWriter, Group, planned_sizes
from warpline.cohort.group.options import GroupOptions
from warpline.cohort.group.subject_maps import MapSettings, Registered, check_registered
from warpline.cohort.group.subjects import LeftOut, Subject, check_one_fixed, choose_subjects
from warpline.cohort.json_files import read_object
from warpline.cohort.layout import SUMMARY, describe_dataset
from warpline.cohort.manifest import abbreviate
from warpline.cohort.participants import join_participants
from warpline.cohort.plan import plan_of
from warpline.cohort.quality import object_mask
from warpline.images import Image
from warpline.io.atomic import Transaction
from warpline.io.folder_drafts import write_folder
from warpline.io.images import read_image
from warpline.io.nifti_series import check_space
from warpline.resampling import warp
from warpline.space import Chain

_log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Called with a line for the user."""

PARTIAL = 3
"""Exit code where pairs are left out that nobody decided to leave out."""


@dataclass(frozen=True)
class GroupSummary:
    """What a group summary holds.

    Parameters
    ----------
    folder : Path
        Where it was written.
    subjects : tuple of str
        Ids of those who count, in the order of the manifest, which is that of the volumes.
    left_out : tuple of LeftOut
        The other pairs, and why.
    files : dict
        Bytes of every file, by its name.
    warnings : tuple of str
        What was noticed.
    exit_code : int
        What the command line returns: 0, or 3 where pairs are left out that nobody decided to leave out.

    Examples
    --------
    >>> from warpline import cohort
    >>> summary = cohort.summarise("out")  # doctest: +SKIP
    >>> len(summary.subjects), summary.exit_code  # doctest: +SKIP
    (98, 3)
    """

    folder: Path
    subjects: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    files: dict[str, int]
    warnings: tuple[str, ...]
    exit_code: int


def summarise(
    out: str | os.PathLike[str], options: GroupOptions | None = None, *, say: Say | None = None
) -> GroupSummary:
    """Summarise the accepted pairs of a cohort, which share one fixed image, for statistics on groups.

    Parameters
    ----------
    out : path
        The output folder of a run, which may still go on.
    options : GroupOptions, optional
        Which maps, who counts, where to write.
    say : callable, optional
        Called with lines about what will be written, before it is.

    Raises
    ------
    UsageError
        When an option is not allowed.
    InputError
        When no run has worked there, nobody counts, fixed images differ, or a file cannot be used.
    OutputError
        When the folder cannot be written or the files do not fit on its disk; an older summary stays.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image, Recipe, cohort, write_image
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> shape = (np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))).astype(np.float32)
    >>> for name, shift in (("fixed", 0), ("a", 1), ("b", 2)):
    ...     write_image(Image.from_array(np.roll(shape, shift, axis=0)), f"{name}.nii")
    >>> pairs = [cohort.Pair(id, f"{id}.nii", "fixed.nii") for id in ("a", "b")]
    >>> recipe = Recipe.load("rigid").with_options("initialise.rotations=false")
    >>> _ = cohort.run(pairs, "out", cohort.Options(recipe=recipe, threads=1, pages="none"))
    >>> cohort.summarise("out", cohort.GroupOptions(maps=["warped"], fwhm=[4])).subjects
    ('a', 'b')
    """
    root, options, say = Path(os.path.abspath(out)), options or GroupOptions(), say or (lambda text: None)
    target = root / SUMMARY if options.target is None else Path(os.path.abspath(options.target))
    check_output(target, None)
    group = gather(root, options)
    sizes = planned_sizes(group)
    say(f"{len(group.subjects)} subjects count, {len(group.left_out)} are left out; {target} takes:")
    for name, size in sizes.items():
        say(f"  {name}: {size / 1e6:.4g} MB")
    check_space(next(folder for folder in target.parents if folder.is_dir()), sizes)
    with Transaction() as files:
        files.prepare(target.parent)
    if target.parent == root:
        describe_dataset(root)
    writer = FolderWriter(group, options.readers)
    write_folder(target, writer.fill, is_own=lambda folder: bool(read_object(folder / RECORD)))
    for text in writer.warnings:
        _log.warning("%s", text)
    return GroupSummary(
        folder=target,
        subjects=tuple(subject.id for subject in group.subjects),
        left_out=tuple(group.left_out),
        files={path.name: path.stat().st_size for path in sorted(target.iterdir())},
        warnings=tuple(writer.warnings),
        exit_code=_exit_code(group.left_out, options.allow_left_out, len(group.subjects)),
    )


def gather(root: Path, options: GroupOptions) -> Group:
    """Everything that is known before a map is read: who counts, what their registrations left, the fixed image.

    Raises
    ------
    InputError
        When nobody counts, fixed images differ, or a registration left less than the maps need.
    """
    chosen = {"include_doubtful": options.include_doubtful, "decisions": options.decisions}
    subjects, left_out = choose_subjects(plan_of(root), root, **chosen)  # type: ignore[arg-type]
    if options.participants is not None:
        pairs = join_participants([subject.pair for subject in subjects], options.participants)
        subjects = [
            replace(subject, task=replace(subject.task, pair=pair))
            for subject, pair in zip(subjects, pairs, strict=True)
        ]
    sidecars = check_one_fixed(subjects, root)
    registered = [
        check_registered(subject, options, sidecar) for subject, sidecar in zip(subjects, sidecars, strict=True)
    ]
    fixed = read_image(subjects[0].pair.fixed, registered[0].geometry)
    backend = select(options.backend, options.threads)
    settings = MapSettings(root, fixed.grid.bare, options, backend)
    mask, notes = _mask(subjects, fixed, settings, registered[0].geometry)
    notes = [*notes, *_recipe_notes(registered)]
    return Group(settings, subjects, registered, left_out, mask, tuple(notes))


def _mask(
    subjects: Sequence[Subject], fixed: Image, settings: MapSettings, geometry: str | None
) -> tuple[Image, list[str]]:
    """The object of the fixed image: its mask where all pairs have the same one, else its foreground."""
    paths = {subject.pair.fixed_mask for subject in subjects}
    images, notes = {"fixed": fixed}, []
    if len(paths) > 1:
        notes = ["the pairs have several fixed masks: mask.nii.gz is the foreground of the fixed image"]
    elif path := paths.pop():
        mask = read_image(path, geometry)
        images["fixed_mask"] = warp(mask, Chain(), fixed.grid, order=0, backend=settings.backend)
    return Image(object_mask(images).astype("uint8"), settings.grid, "mask"), notes


def _recipe_notes(registered: Sequence[Registered]) -> list[str]:
    names = sorted({one.recipe for one in registered})
    return [f"the subjects were registered with several recipes: {abbreviate(names)}"] if len(names) > 1 else []


def _exit_code(left_out: Sequence[LeftOut], allowed: float, count: int) -> int:
    undecided: Any = sum(not one.decided for one in left_out)
    if isinstance(allowed, float):
        allowed *= count + len(left_out)
    return PARTIAL if undecided > allowed else 0
