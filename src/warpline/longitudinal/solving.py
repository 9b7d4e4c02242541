"""The steps from images to their maps, in one order of the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from warpline.backends import Backend
from warpline.images import Image
from warpline.longitudinal.change_fields import ChangePair, register_changes, velocities_of
from warpline.longitudinal.middle_space import (
    brightness_factors,
    median_image,
    middle_grid,
    on_middle,
    without_unlike_shading,
)
from warpline.longitudinal.result import TimePoint
from warpline.longitudinal.rigid_middle import RigidMiddle, find_middle, register_pairs
from warpline.recipe import Recipe
from warpline.registration.clock import Clock
from warpline.space import Affine, Chain, Displacement, exponential

Pair = TypeVar("Pair")

ProgressCallback = Callable[[str, int, int], None]
"""Receives a step, and how many pairs of how many are done."""


@dataclass(frozen=True, eq=False)
class Solved:
    """Time points in their middle, in the order of the images.

    Parameters
    ----------
    points : list of TimePoint
        The time points.
    middle : Image
        Their median.
    factors : list of float
        What their grey values were multiplied by for it.
    rigid : RigidMiddle
        How the middle was found.
    changes : list of ChangePair
        What was found of each pair there.
    """

    points: list[TimePoint]
    middle: Image
    factors: list[float]
    rigid: RigidMiddle
    changes: list[ChangePair]


def solve(
    images: Sequence[Image],
    recipe: Recipe,
    backend: Backend,
    *,
    clock: Clock,
    progress: ProgressCallback | None = None,
) -> Solved:
    """Find the middle of images, and the maps from it.

    Parameters
    ----------
    images : sequence of Image
        Two or more, one volume each.
    recipe : Recipe
        Of the deformable stage, see `warpline.longitudinal.change_fields.recipe_with`.
    backend : Backend
        Where it runs.
    clock : Clock
        Gets the times.
    progress : callable, optional
        Receives a step, and how many pairs of how many are done.
    """
    with clock.step("rigid"):
        pairs = list(_counted(register_pairs(images, Recipe.load("rigid"), backend), "rigid", len(images), progress))
        middle = find_middle(pairs, images)
    with clock.step("middle"):
        grid = middle_grid(images, middle)
        placed = [on_middle(image, to, grid, backend) for image, to in zip(images, middle.affines, strict=True)]
        factors = brightness_factors(placed)
        placed = without_unlike_shading(placed, factors)
    with clock.step("change"):
        changes = list(_counted(register_changes(placed, recipe, backend), "change", len(images), progress))
        velocities = velocities_of(changes, grid, len(images))
    del placed
    with clock.step("median"):
        points = [_point(*of, backend) for of in zip(images, middle.affines, velocities, strict=True)]
        median = median_image(without_unlike_shading([point.aligned for point in points], factors))
    return Solved(points, median, factors, middle, changes)


def _point(image: Image, rigid: Affine, velocity: Displacement, backend: Backend) -> TimePoint:
    warp = exponential(velocity, backend=backend)
    aligned = on_middle(image, Chain((warp, rigid)), velocity.grid, backend)
    return TimePoint(image, rigid, warp, velocity, aligned)


def _counted(pairs: Iterator[Pair], step: str, images: int, progress: ProgressCallback | None) -> Iterator[Pair]:
    """The pairs, each told of once it is done."""
    total = math.comb(images, 2)
    for number, pair in enumerate(pairs, 1):
        if progress is not None:
            progress(step, number, total)
        yield pair
