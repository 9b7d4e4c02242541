"""The linear stage of an alignment: from the first start, and from others where that is not enough."""

from __future__ import annotations

from dataclasses import replace

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images.intensity import Normalised
from warpline.recipe import Initialise
from warpline.registration.initialisation import initial_affine
from warpline.registration.judgement import (
    JudgedAffine,
    ObjectComparison,
    judge_affine,
    search_again,
    start_by_search,
)
from warpline.registration.linear import LinearResult, register_linear
from warpline.registration.problem import Problem
from warpline.registration.progress import ProgressCallback
from warpline.space import Affine


def register_from_start(
    images: tuple[Normalised, Normalised], problem: Problem, backend: Backend, progress: ProgressCallback | None
) -> LinearResult:
    """The first linear result; from a start by search where the images hardly overlap at that of the recipe."""
    recipe = problem.recipe
    start = problem.initial or initial_affine(*images, recipe.initialise, backend=backend)
    if recipe.linear is None:
        return LinearResult(start, ())
    try:
        return register_linear(*images, start, recipe.linear, backend=backend, progress=progress)
    except InputError:
        if problem.initial is not None or not recipe.initialise.rotations:
            raise
        other = start_by_search(images, recipe.linear, ObjectComparison(*images, backend), backend)
        if other is None:
            raise
        found = register_linear(*images, other, recipe.linear, backend=backend, progress=progress)
    note = "the images hardly overlap at the first start, so another was searched for that needs no centres: look at it"
    return replace(found, warnings=(*found.warnings, note))


def judge_and_search(
    images: tuple[Normalised, Normalised],
    linear: LinearResult,
    problem: Problem,
    comparison: ObjectComparison,
    backend: Backend,
) -> JudgedAffine:
    """The linear result, judged; a better one from another start, where it was doubtful and no start was given."""
    recipe, headers = problem.recipe, problem.initial or Affine.identity()
    judged = judge_affine(images, linear, recipe.linear, comparison, headers=headers, backend=backend)
    if recipe.linear is None or not _is_searched(judged, recipe.initialise):
        return judged
    if problem.initial is None:
        return search_again(images, judged, recipe.linear, comparison, backend)
    if recipe.initialise.search == "always":
        note = "initialise.search = always: no other start was searched for, as one was given, or fitted to points"
        return replace(judged, result=replace(linear, warnings=(*linear.warnings, note)))
    return judged


def _is_searched(judged: JudgedAffine, options: Initialise) -> bool:
    """Whether other starts are searched for, where none is given."""
    return options.rotations and (options.search == "always" or not judged.is_clear)
