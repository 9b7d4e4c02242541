"""What time points take of memory, and the coarser grids on which they are registered where that is too much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from warpline.backends import Backend
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.limits import free_memory
from warpline.longitudinal.middle_space import extent_of, middle_grid
from warpline.longitudinal.rigid_middle import RigidMiddle
from warpline.recipe import Recipe
from warpline.registration import plan_memory
from warpline.registration.memory_plan import GIGABYTE, MOST_REDUCED, NEGLIGIBLE, PROGRAM, block_of
from warpline.resampling.reduction import reduce_image, reduce_mask
from warpline.space.grid import Grid

REGISTERED, KEPT = 16, 64
"""Bytes per voxel of the middle and time point: its image and the sum of velocities while pairs are registered; then
the image, its warp both ways, its velocity, and what the median is made of."""

UNLIMITED = 1e9
"""GB that no plan reaches: what a registration takes on a grid as it is."""


@dataclass(frozen=True)
class MiddlePlan:
    """The grid of the middle that fits into memory.

    Parameters
    ----------
    grid : Grid
        Of the middle.
    times : int
        How many times as long as the finest voxel of the time points its edges are; 1 where all fits.
    limit : int
        Bytes that the process may take.
    asked : bool
        Whether the limit was asked for; else it is what is free.
    predicted : int
        The most bytes that the process is expected to take.
    """

    grid: Grid
    times: int
    limit: int
    asked: bool
    predicted: int

    def seen(self, image: Image) -> Image:
        """A time point as means of blocks about as large as voxels of the grid, so that nothing finer aliases."""
        if self.times == 1:
            return image
        return reduce_image(image, block_of(image.grid, float(self.grid.voxel_size[0]), 1))

    def warnings(self) -> tuple[str, ...]:
        """A sentence where the grid is coarser than the images."""
        if self.times == 1:
            return ()
        limit = f"the {self.limit / GIGABYTE:.3g} GB {'asked for' if self.asked else 'that are free'}"
        return (
            f"the middle has voxels of {self.grid.voxel_size[0]:.3g} mm, {self.times} times as long as the finest of "
            f"the time points: more does not fit {limit}; changes are of that grid",
        )

    def as_report(self) -> dict[str, Any]:
        """As plain JSON values, bytes as integers."""
        return {"limit": self.limit, "asked": self.asked, "predicted": self.predicted, "coarser": self.times}


def plan_middle(
    images: Sequence[Image],
    middle: RigidMiddle,
    recipe: Recipe,
    backend: Backend,
    *,
    masks: Sequence[Image | None],
    memory: float | None = None,
) -> MiddlePlan:
    """The finest grid of the middle that fits.

    Parameters
    ----------
    images : sequence of Image
        The time points as given.
    middle : RigidMiddle
        Where they are.
    recipe : Recipe
        Of the deformable stage.
    backend : Backend
        Where it runs: what a GPU holds is known when it is full, so that it is planned for only where `memory` is.
    masks : sequence of Image or None
        Of the time points.
    memory : float, optional
        GB (10^9 bytes) that the process may take; what is free when None.

    Raises
    ------
    UsageError
        When nothing fits.
    """
    held = PROGRAM + _bytes_of((*images, *masks))
    limit = held + free_memory() if memory is None else int(memory * GIGABYTE)
    extent = extent_of(images, middle)
    is_planned = memory is not None or backend.on_host
    for times in range(1, MOST_REDUCED + 1):
        grid = middle_grid(images, middle.centre, extent, times)
        predicted = _predicted(grid, len(images), recipe, held)
        negligible = memory is None and predicted - held <= NEGLIGIBLE
        if predicted <= limit or negligible or not is_planned:
            return MiddlePlan(grid, times, limit, memory is not None, predicted)
    raise UsageError(
        f"memory: {limit / GIGABYTE:.2f} GB {'asked for' if memory is not None else 'are free'}, and these time points "
        f"need {predicted / GIGABYTE:.2f} GB on the coarsest grid: give more memory, or smaller images"
    )


def _predicted(grid: Grid, count: int, recipe: Recipe, held: int) -> int:
    """The most bytes that a process takes which registers so many time points on a grid."""
    voxels = math.prod(grid.shape)
    pair = plan_memory(grid, grid, recipe, image_bytes=0, memory=UNLIMITED).predicted - PROGRAM
    return held + max(pair + REGISTERED * count * voxels, KEPT * count * voxels)


def _bytes_of(images: Iterable[Image | None]) -> int:
    """What images take, each once."""
    return sum(image.data.nbytes for image in {id(one): one for one in images if one is not None}.values())


def fitting_images(
    images: Sequence[Image],
    recipe: Recipe,
    backend: Backend,
    *,
    masks: Sequence[Image | None],
    memory: float | None = None,
) -> tuple[list[Image], list[Image | None], tuple[str, ...]]:
    """Images and masks for the rigid stage, as means of blocks where they do not fit, and a sentence for each of these.

    Parameters
    ----------
    images, recipe, backend, masks, memory
        As for `plan_middle`, with the recipe of the rigid stage.

    Raises
    ------
    UsageError
        When nothing fits.
    """
    if memory is None and not backend.on_host:
        return list(images), list(masks), ()
    count = _bytes_of((*images, *masks))
    plans = [plan_memory(one.grid, one.grid, recipe, image_bytes=count, memory=memory) for one in images]
    smaller = [reduce_image(one, plan.blocks[0]) for one, plan in zip(images, plans, strict=True)]
    marked = [
        None if mask is None else reduce_mask(mask, plan.blocks[0]) for mask, plan in zip(masks, plans, strict=True)
    ]
    notes = tuple(
        f"{image.name} was registered rigidly at {plan.spacing:.3g} mm: more does not fit "
        f"{plan.limit / GIGABYTE:.3g} GB"
        for image, plan in zip(images, plans, strict=True)
        if plan.is_reduced
    )
    return smaller, marked, notes
