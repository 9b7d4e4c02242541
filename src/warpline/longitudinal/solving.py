"""The steps from images to their maps, in one order of the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images import Image
from warpline.longitudinal.change_fields import ChangePair, register_changes, velocities_of
from warpline.longitudinal.memory import MiddlePlan, fitting_images, plan_middle
from warpline.longitudinal.middle_space import (
    brightness_factors,
    mask_on_middle,
    median_image,
    object_of,
    on_middle,
    without_unlike_shading,
)
from warpline.longitudinal.result import TimePoint
from warpline.longitudinal.rigid_middle import RigidMiddle, find_middle, register_pairs
from warpline.recipe import Recipe
from warpline.registration import ProgressCallback
from warpline.registration.clock import Clock
from warpline.space import Affine, Chain, Displacement, exponential

Pair = TypeVar("Pair")

PairCallback = Callable[[str, int, int], None]
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
    inside : (I, J, K) bool
        Where the middle shows an object, and all masks let it count.
    factors : list of float
        What their grey values were multiplied by for it.
    rigid : RigidMiddle
        How the middle was found.
    changes : list of ChangePair
        How the change of each pair was found there.
    plan : MiddlePlan
        What it took of memory.
    notes : tuple of str
        What was registered on coarser grids.
    """

    points: list[TimePoint]
    middle: Image
    inside: NDArray[np.bool_]
    factors: list[float]
    rigid: RigidMiddle
    changes: list[ChangePair]
    plan: MiddlePlan
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """How time points are registered.

    Parameters
    ----------
    rigid, deformable : Recipe
        Of both stages, see `warpline.longitudinal.recipes`.
    backend : Backend
        Where it runs.
    clock : Clock
        Gets the times.
    memory : float, optional
        GB that the process may take.
    progress : callable, optional
        As for `warpline.registration.align`.
    on_pair : callable, optional
        Receives a step, and how many pairs of how many are done.
    """

    rigid: Recipe
    deformable: Recipe
    backend: Backend
    clock: Clock
    memory: float | None = None
    progress: ProgressCallback | None = None
    on_pair: PairCallback | None = None

    def solve(self, images: Sequence[Image], masks: Sequence[Image | None]) -> Solved:
        """Find the middle of images, and the maps from it.

        Parameters
        ----------
        images : sequence of Image
            Two or more, one volume each.
        masks : sequence of Image or None
            Where each counts, on its grid.
        """
        backend = self.backend
        with self.clock.step("rigid"):
            middle, notes = self._rigid(images, masks)
        with self.clock.step("middle"):
            plan = plan_middle(images, middle, self.deformable, backend, masks=masks, memory=self.memory)
            seen = [plan.seen(image) for image in images]
            placed = [on_middle(*one, plan.grid, backend) for one in zip(seen, middle.affines, strict=True)]
            marked = [mask_on_middle(*one, plan.grid, backend) for one in zip(masks, middle.affines, strict=True)]
            factors = brightness_factors(placed, marked)
            placed = without_unlike_shading(placed, factors, marked)
        with self.clock.step("change"):
            changes = self._counted(
                register_changes(placed, marked, self.deformable, backend, self.progress), "change", len(images)
            )
            pairs, velocities = velocities_of(changes, plan.grid, len(images))
        del placed
        with self.clock.step("median"):
            points = [_point(*of, backend) for of in zip(seen, middle.affines, velocities, strict=True)]
            points = [replace(point, image=image) for point, image in zip(points, images, strict=True)]
            median = median_image(without_unlike_shading([point.aligned for point in points], factors, marked))
            inside = np.all([object_of(median, mask) for mask in marked], axis=0)
        return Solved(points, median, inside, factors, middle, pairs, plan, (*notes, *plan.warnings()))

    def _rigid(self, images: Sequence[Image], masks: Sequence[Image | None]) -> tuple[RigidMiddle, tuple[str, ...]]:
        seen, marked, notes = fitting_images(images, self.rigid, self.backend, masks=masks, memory=self.memory)
        found = register_pairs(seen, marked, self.rigid, self.backend, self.progress)
        return find_middle(list(self._counted(found, "rigid", len(images))), images), notes

    def _counted(self, pairs: Iterator[Pair], step: str, images: int) -> Iterator[Pair]:
        """The pairs, each told of once it is done."""
        total = math.comb(images, 2)
        for number, pair in enumerate(pairs, 1):
            if self.on_pair is not None:
                self.on_pair(step, number, total)
            yield pair


def _point(image: Image, rigid: Affine, velocity: Displacement, backend: Backend) -> TimePoint:
    warp = exponential(velocity, backend=backend)
    aligned = on_middle(image, Chain((warp, rigid)), velocity.grid, backend)
    return TimePoint(image, rigid, warp, velocity, aligned)
