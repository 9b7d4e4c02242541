"""A finished template goes on: subjects are added or removed without the rounds being run again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from warpline.backends import Backend, select
from warpline.cohort import Pair
from warpline.cohort.json_files import read_object, write_json
from warpline.cohort.layout import WORK, checksum
from warpline.cohort.lock import FolderLock
from warpline.errors import InputError, UsageError
from warpline.io.atomic import Transaction
from warpline.io.images import read_image
from warpline.recipe import Recipe
from warpline.space import Affine
from warpline.template.finishing import inputs_from, mean_of, write_template
from warpline.template.judging import judge
from warpline.template.layout import ADDED, CHECKSUMS, FEWEST, RECORD, STARTS, TEMPLATE, round_folder
from warpline.template.options import Options
from warpline.template.records import Member, RoundRecord, Template, read_template
from warpline.template.rounds import Averaging, register_all, start_file, write_start
from warpline.template.schedule import Kind, Stage, may_continue, recipe_of
from warpline.template.sequence import Say
from warpline.template.shape import mean_map
from warpline.template.start import check_further
from warpline.template.subjects import Source, checksums_of, load_subjects

_log = logging.getLogger(__name__)


def add(
    out: str | os.PathLike[str], source: Source, running: Options | None = None, *, say: Say | None = None
) -> Template:
    """Register further subjects to a finished template, and average it anew with them.

    Parameters
    ----------
    out : path
        The output folder of `build`.
    source : path, sequence of paths or of warpline.cohort.Pair
        The new subjects, as for `build`.
    running : Options, optional
        Where it runs: of its values `backend`, `threads`, `workers` and `time_limit` count, the others are those that
        the template was built with.
    say : callable, optional
        Called with a line for everyone who is left out.

    Returns
    -------
    Template
        The new one, in the same folder.

    Raises
    ------
    InputError
        When there is no template, a new subject or its image is in it, or labels or channels of one cannot be used.
    UsageError
        When another run works on the folder.

    Examples
    --------
    >>> from warpline import template
    >>> template.add("out", ["sub-11_T1w.nii.gz"])  # doctest: +SKIP
    """
    root = Path(os.path.abspath(out))
    with _locked(root):
        made = _finished(root)
        options = _options_of(made, running)
        new = load_subjects(source, options)
        known = {one.id for one in made.subjects}
        twice = [one.id for one in new if one.id in known]
        if twice:
            raise InputError(f"{twice[0]} is in the template already; remove it first, or give the new one another id")
        _check_new_images(new, made)
        flat = read_image(made.image).grid.flat
        for one in new:
            check_further(one, options.geometry, flat=flat)
        subjects = sorted([*(one.subject(root) for one in made.subjects), *new], key=lambda one: one.id)
        backend = select(None if options.backend == "auto" else options.backend, options.threads)
        compared = _compared(new, made, options)
        _write_starts_of(new, made, options, backend)
        return _averaged_anew(made, subjects, options, say or _log.info, compared=compared)


def remove(
    out: str | os.PathLike[str], ids: Iterable[str], running: Options | None = None, *, say: Say | None = None
) -> Template:
    """Average a finished template anew without some of its subjects.

    Their maps stay in the folder, so that they can be added again in no time.

    Parameters
    ----------
    out : path
        The output folder of `build`.
    ids : iterable of str
        Who to remove.
    running : Options, optional
        As for `add`.
    say : callable, optional
        As for `add`.

    Returns
    -------
    Template
        The new one, in the same folder.

    Raises
    ------
    UsageError
        When one of them is not in the template, or fewer than two would stay.
    InputError
        When there is no template.

    Examples
    --------
    >>> from warpline import template
    >>> template.remove("out", ["sub-03"])  # doctest: +SKIP
    """
    root, absent = Path(os.path.abspath(out)), set(ids)
    with _locked(root):
        made = _finished(root)
        unknown = sorted(absent - {one.id for one in made.subjects})
        if unknown:
            names = ", ".join(one.id for one in made.subjects)
            raise UsageError(f"{unknown[0]!r} is not in the template; its subjects are {names}")
        kept = [one.subject(root) for one in made.subjects if one.id not in absent]
        if len(kept) < FEWEST:
            raise UsageError(f"{len(kept)} subjects would stay, {FEWEST} are needed; remove fewer")
        starts = _fixed(made, _last_stage(made, _options_of(made, running).load_recipe())).parent / STARTS
        if starts.exists():
            write_json(starts / CHECKSUMS, _checksums_of_starts(made, starts))
        return _averaged_anew(made, kept, _options_of(made, running), say or _log.info, compared=None)


def _check_new_images(new: Sequence[Pair], made: Template) -> None:
    """Refuse an image that is in the template under another id."""
    known = {one.sha256["moving"]: one.id for one in made.subjects}
    for subject in new:
        same = known.get(checksums_of(subject)["moving"])
        if same is not None:
            raise InputError(f"the image of {subject.id} is in the template already, as {same}; leave it out")


def _compared(new: Sequence[Pair], made: Template, options: Options) -> frozenset[str]:
    """Who of the template and of those that come back has had left and right compared, in the image of now."""
    fixed = _fixed(made, _last_stage(made, options.load_recipe()))
    known = _checksums_of_starts(made, fixed.parent / STARTS)
    same = {one.id for one in new if known.get(one.id) == checksums_of(one)["moving"]}
    ids = {id for one in made.rounds for id in one.sides}
    return frozenset(ids & (same | {one.id for one in made.subjects}))


def _with_sides(rounds: Sequence[RoundRecord], sides: Mapping[str, float]) -> tuple[RoundRecord, ...]:
    """The rounds with what was found of the sides of subjects that came later, in the last of them."""
    *others, last = [
        replace(one, sides={id: alike for id, alike in one.sides.items() if id not in sides}) for one in rounds
    ]
    return (*others, replace(last, sides={**last.sides, **sides}))


def _locked(root: Path) -> FolderLock:
    _finished(root)
    with Transaction() as files:
        files.prepare(root / WORK)
    return FolderLock(root)


def _finished(root: Path) -> Template:
    made = read_template(root)
    if made is None:
        raise InputError(f"{root} holds no finished template; make one by warpline template build")
    return made


def _options_of(made: Template, running: Options | None) -> Options:
    """The options that a template was built with, and where it runs now."""
    where = running or Options()
    given: dict[str, Any] = {name: value for name, value in made.options.items() if name not in ("initial", "method")}
    recipe = Recipe.from_values(given["recipe"], str(made.folder / RECORD))
    given |= {"recipe": recipe, "channels": tuple(given["channels"])}
    own = {name: getattr(where, name) for name in ("backend", "threads", "workers", "time_limit")}
    return Options(**given, **own)


def _last_stage(made: Template, recipe: Recipe) -> Stage:
    """The last round, as it was planned."""
    last = made.rounds[-1]
    first = next((one.number for one in made.rounds if one.kind == "deformable"), last.number)
    kind: Kind = "linear" if last.kind == "linear" else "deformable"
    continues = may_continue(recipe) and last.number > first
    return Stage(last.number, kind, 1, bool(made.options["symmetric"]), continues=continues)


def _fixed(made: Template, stage: Stage) -> Path:
    """The image that subjects were registered to in the last round."""
    return round_folder(made.folder, stage.number - 1) / TEMPLATE


def _write_starts_of(new: Sequence[Pair], made: Template, options: Options, backend: Backend) -> None:
    """Where the last round starts for new subjects: what the rounds before it have found for the others."""
    recipe = options.load_recipe()
    stage = _last_stage(made, recipe)
    if stage.kind == "linear" or (recipe.linear is None and not stage.continues):
        return
    fixed = _fixed(made, stage)
    grid, starts = read_image(fixed).grid, fixed.parent / STARTS
    before = recipe if stage.continues else recipe_of(replace(stage, kind="linear"), recipe)
    found = register_all(new, fixed, made.folder / ADDED, before, options=options, starts=None)
    usable = found.without({one.id for one in new if found.results[one.id].failure is not None})
    known = _checksums_of_starts(made, starts)
    for subject, files in zip(usable.subjects, usable.maps(), strict=True):
        content, there = checksum(subject.moving), start_file(starts, subject, warped=stage.continues).exists()
        if there and known.pop(subject.id, "") == content:  # a newer date would make it run again
            known[subject.id] = content
            continue
        write_json(starts / CHECKSUMS, known)
        affine = Affine(files.matrix(), grid.flat)
        write_start(subject, files.chain(), affine, starts, grid=grid if stage.continues else None, backend=backend)
        known[subject.id] = content
    write_json(starts / CHECKSUMS, known)


def _checksums_of_starts(made: Template, starts: Path) -> dict[str, str]:
    """SHA-256 of the image that each start belongs to, by id: of those in the template, and of those before them."""
    return {**read_object(starts / CHECKSUMS), **{one.id: one.sha256["moving"] for one in made.subjects}}


def _averaged_anew(
    made: Template, subjects: Sequence[Pair], options: Options, say: Say, *, compared: frozenset[str] | None
) -> Template:
    """The template of other subjects, by their maps to the image that the last round registered to.

    Left and right of subjects that are not in `compared` are compared by grey values; of none where it is None.
    """
    recipe = options.load_recipe()
    stage = _last_stage(made, recipe)
    backend = select(None if options.backend == "auto" else options.backend, options.threads)
    fixed = _fixed(made, stage)
    folder = round_folder(made.folder, stage.number)
    registered = register_all(
        subjects, fixed, folder, recipe_of(stage, recipe), options=options, starts=fixed.parent / STARTS
    )
    judged = judge(
        registered, options, backend, sides=None if compared is None else "grey", compared=compared or frozenset()
    )
    for one in judged.left_out:
        say(f"{one.id} is left out: {one.reason}")
    if len(judged.registered.subjects) < FEWEST:
        raise InputError(f"fewer than {FEWEST} subjects fit together; the template stays as it was")
    weights = tuple(judged.fits.weight.tolist())
    grid = read_image(made.image).grid
    mean = mean_map(
        judged.registered.maps(), weights, read_image(fixed).grid, backend, symmetric=stage.symmetric, step=options.step
    )
    averaging = Averaging(judged.registered, weights, mean, grid, options, backend)
    members = [
        Member(one.id, inputs_from(one, made.folder), checksums_of(one), float(fit), weight)
        for one, fit, weight in zip(judged.registered.subjects, judged.fits.fit, weights, strict=True)
    ]
    named = {one.id for one in subjects}
    left_out = (*(one for one in made.left_out if one.id not in named), *judged.left_out)
    kept = {one.id for one in members} - (compared or frozenset())
    rounds = _with_sides(made.rounds, {id: alike for id, alike in judged.sides.items() if id in kept})
    about = {"key": made.key, "options": made.options, "left_out": left_out, "rounds": rounds}
    return write_template(made.folder, averaging, mean_of(averaging), members, settled=made.settled, **about)
