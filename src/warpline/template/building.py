"""`build` a template: rounds over all subjects, begun anew without those that do not belong to it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from warpline.backends import Backend, select
from warpline.cohort import Pair
from warpline.cohort.json_files import read_object, write_json
from warpline.cohort.layout import WORK
from warpline.cohort.lock import FolderLock
from warpline.errors import InputError, UsageError
from warpline.io.atomic import Transaction
from warpline.io.drafts import writing
from warpline.recipe import NUMERICS
from warpline.template.finishing import finish
from warpline.template.layout import FEWEST, LEFT_OUT, RECORD, ROUNDS, SUBJECTS
from warpline.template.options import Options
from warpline.template.records import LeftOut, Template, read_template
from warpline.template.sequence import Group, Say, run_rounds
from warpline.template.start import Extent, check_further, check_kinds, extent_of, read_normalised
from warpline.template.subjects import Checksums, Source, checksums_of, decided, digest, load_subjects

_log = logging.getLogger(__name__)


def build(
    source: Source, out: str | os.PathLike[str], options: Options | None = None, *, say: Say | None = None
) -> Template:
    """Make a template of several subjects; the same call again goes on where an earlier one ended.

    Parameters
    ----------
    source : path, sequence of paths or of warpline.cohort.Pair
        A manifest (``.tsv``, ``.csv``) with the columns `id` and `moving`, a BIDS folder, or an image of each subject.
        Labels (`moving_labels`) are joined by vote, masks (`moving_mask`) say where images count.
    out : path
        The output folder.
    options : Options, optional
        How.
    say : callable, optional
        Called with a line for every round.

    Returns
    -------
    Template
        Also when subjects were left out: see its `left_out` and `exit_code`.

    Raises
    ------
    UsageError
        When an option is not allowed, another run works on the folder, or it holds a finished template of other
        subjects or options.
    InputError
        When the subjects cannot be read, or fewer than two fit together.
    OutputError
        When the folder cannot be written.
    StoppedError
        When a round was stopped by a signal or for too many failures.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image, Recipe, template, write_image
    >>> x, y = np.indices((32, 32)) - 15.5
    >>> for name, width in (("a", 60), ("b", 80), ("c", 100)):
    ...     shape = np.exp(-(x**2 + 2 * y**2) / width) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    ...     write_image(Image.from_array(shape.astype(np.float32)), f"{name}.nii")
    >>> options = template.Options(recipe="rigid", rounds=1, backend="numba", threads=1)
    >>> made = template.build(["a.nii", "b.nii", "c.nii"], "out", options)
    >>> [subject.id for subject in made.subjects], made.exit_code
    (['a', 'b', 'c'], 0)
    """
    root, options, say = Path(os.path.abspath(out)), options or Options(), say or _log.info
    if root.is_file():
        raise UsageError(f"{out} is a file; the folder of the template is needed, after all images")
    subjects = load_subjects(source, options)
    if len(subjects) < FEWEST:
        raise InputError(f"a template takes {FEWEST} subjects at least, {len(subjects)} is given; add further images")
    with Transaction() as files:
        files.prepare(root / WORK)
    with FolderLock(root):
        members = {one.id: checksums_of(one) for one in subjects}
        key = digest(members, decided(options), NUMERICS)
        finished = read_template(root)
        if finished is not None and finished.key == key:
            return finished
        if finished is not None and not options.redo:
            raise UsageError(
                f"{root} holds a template of other subjects or options; choose another folder, or --redo to replace it"
            )
        with writing(root / RECORD):
            for path in (root / RECORD, root / SUBJECTS, *({} if finished is None else finished.images).values()):
                path.unlink(missing_ok=True)
        return _built(root, subjects, members, key, options, say=say)


def _built(
    root: Path, subjects: Sequence[Pair], members: Mapping[str, Checksums], key: str, options: Options, *, say: Say
) -> Template:
    """All rounds, again and again with fewer subjects, until each that is in the template belongs to it."""
    backend = select(None if options.backend == "auto" else options.backend, options.threads)
    while True:
        left_out = _read_left_out(root, key)
        absent = {one.id for one in left_out}
        kept = {one.id: members[one.id] for one in subjects if one.id not in absent}
        if len(kept) < FEWEST:
            reasons = "; ".join(f"{one.id} {one.reason}" for one in left_out)
            raise InputError(f"{len(kept)} of {len(subjects)} subjects fit together, {FEWEST} are needed: {reasons}")
        chosen = [one for one in subjects if one.id in kept]
        extents, found = _extents(chosen, options.geometry, backend)
        if not found:
            check_kinds({one.id: extent.flat for one, extent in zip(chosen, extents, strict=True)})
            group = Group.of(root, chosen, extents, options, backend, members=kept)
            ended = run_rounds(group, say)
            if not ended.left_out:
                return finish(group, ended, left_out, key)
            found = ended.left_out
        for one in found:
            say(f"{one.id} is left out, the rounds begin anew without it: {one.reason}")
        listed = [vars(one) for one in (*left_out, *found)]
        write_json(root / LEFT_OUT, {"key": key, "left_out": listed})
        shutil.rmtree(root / ROUNDS, ignore_errors=True)


def _extents(
    subjects: Sequence[Pair], geometry: str | None, backend: Backend
) -> tuple[list[Extent], tuple[LeftOut, ...]]:
    """Where the object of each subject lies, and the subjects whose image cannot be used at all."""
    extents, unusable = [], []
    for subject in subjects:
        try:
            extent = extent_of(read_normalised(subject.moving, geometry, backend))
            check_further(subject, geometry, flat=extent.flat)
            extents.append(extent)
        except InputError as error:
            unusable.append(LeftOut(subject.id, f"cannot be used: {error}"))
    return extents, tuple(unusable)


def _read_left_out(root: Path, key: str) -> list[LeftOut]:
    found = read_object(root / LEFT_OUT)
    return [LeftOut(**one) for one in found["left_out"]] if found.get("key") == key else []
