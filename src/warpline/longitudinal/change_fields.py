"""The deformable maps from the middle to every time point: exponentials of velocity fields whose mean is zero.

Every pair of time points is registered both ways on the grid of the middle, and half the difference of the two fields
taken: what one way prefers, the other one cancels. The field of a time point is the mean of those that lead to it from
all (itself included), which is the least-squares solution of ``w_j - w_i = v_ij`` with a mean of zero. Images are
compared with each other and never with their mean, whose noise is theirs in part and would hold them back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.recipe import Initialise, Recipe, Syn
from warpline.registration import Alignment, align
from warpline.registration.judgement import OUTCOMES
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid

RECIPE = Recipe(
    name="longitudinal",
    initialise=Initialise(method="identity"),
    linear=None,
    syn=Syn(model="velocity", metric="mean_squares", step=0.25, update_sigma=4.0, total_sigma=0.43),
)
"""Registration of two time points on the grid of the middle: by squared differences, as they are of one contrast; more
smoothly than between two subjects, so that noise does not look like change; in small steps, as little moves."""


@dataclass(frozen=True, eq=False)
class ChangePair:
    """What is known of the change between two time points.

    Parameters
    ----------
    numbers : (int, int)
        Of the two.
    velocity : (3, I, J, K) float32
        From the first to the second, mm, world axes, on the grid of the middle.
    disagreement : float
        99th percentile in mm of the distance between the velocities that both ways gave.
    outcome : str
        The worse judgement of both ways.
    warnings : tuple of str
        Reasons to doubt it.
    """

    numbers: tuple[int, int]
    velocity: NDArray[np.float32]
    disagreement: float
    outcome: str
    warnings: tuple[str, ...]


def recipe_with(settings: Sequence[str]) -> Recipe:
    """The recipe with settings such as ``"syn.total_sigma=1"``.

    Raises
    ------
    UsageError
        When a setting is not allowed, or takes away what time points need.
    """
    recipe = RECIPE.with_options(*settings)
    if recipe.syn is None or recipe.syn.model != "velocity" or recipe.linear is not None:
        raise UsageError("time points are registered with syn.model=velocity and no linear stage; leave those settings")
    return recipe


def register_changes(images: Sequence[Image], recipe: Recipe, backend: Backend) -> Iterator[ChangePair]:
    """Register every pair of images both ways.

    Parameters
    ----------
    images : sequence of Image
        The time points on the grid of the middle, interpolated alike.
    recipe : Recipe
        See `recipe_with`.
    backend : Backend
        Where it runs.

    Raises
    ------
    InputError
        When a pair has no velocity field.
    """
    for numbers in combinations(range(len(images)), 2):
        yield _register(numbers, images, recipe, backend)


def velocities_of(changes: Sequence[ChangePair], grid: Grid, count: int) -> list[Displacement]:
    """Velocity fields from the middle to every time point in mm, whose sum is zero but for rounding.

    Parameters
    ----------
    changes : sequence of ChangePair
        Of every two time points, once.
    grid : Grid
        Of the middle.
    count : int
        Of the time points.
    """
    fields = [np.zeros((3, *grid.shape), np.float32) for _ in range(count)]
    for one in changes:
        first, second = one.numbers
        share = one.velocity / np.float32(count)
        fields[second] += share
        fields[first] -= share
    return [Displacement(field, grid) for field in fields]


def _register(numbers: tuple[int, int], images: Sequence[Image], recipe: Recipe, backend: Backend) -> ChangePair:
    first, second = (images[number] for number in numbers)
    ways = ((first, second), (second, first))
    identity = Affine(np.eye(4), first.grid.flat)
    found = [align(*way, recipe, backend=backend, initial=identity) for way in ways]
    there, back = (_velocity(one, way) for one, way in zip(found, ways, strict=True))
    apart = np.sqrt(np.square(there + back).sum(axis=0))
    warnings = tuple(
        f"{moving.name} on {fixed.name}: {text}"
        for one, (fixed, moving) in zip(found, ways, strict=True)
        for text in one.warnings
    )
    outcomes = [one.judgement.outcome for one in found]
    worse = max(outcomes, key=OUTCOMES.index)
    return ChangePair(numbers, (there - back) / np.float32(2), float(np.percentile(apart, 99)), worse, warnings)


def _velocity(found: Alignment, way: tuple[Image, Image]) -> NDArray[np.float32]:
    if found.velocity is None:
        fixed, moving = way
        raise InputError(
            f"{moving.name} and {fixed.name} differ too much for a smooth velocity field; look at them, or smooth more "
            "with --set syn.total_sigma=1"
        )
    return found.velocity.field
