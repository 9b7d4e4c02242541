"""What a registration will take of memory, level by level, and how far images are reduced so that it fits.

The plan is made from shapes alone, before anything is computed. Bytes per voxel were measured on the CPU backend
(docs/large-images.md) and are rounded up. Where the pair does not fit, it is registered on a coarser grid, whose voxels
are blocks of voxels of the images: the smallest blocks that fit are taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.limits import free_memory
from warpline.metrics import LABELS, deformable_metric
from warpline.recipe import Recipe, Syn
from warpline.recipe.syn import UNLIKE
from warpline.registration.image_pairs import LoadedImages
from warpline.registration.pyramid import SMALLEST_AXIS, SharedLevel
from warpline.registration.syn import finest_spacing, level_schedule
from warpline.resampling.reduction import reduced_grid
from warpline.space.grid import Grid, Shape

GIGABYTE = 1e9

PROGRAM = 500_000_000
"""Bytes of Python, its packages and compiled code, and of what is worked on part by part."""

LEVEL_VOLUMES, MASK_VOLUMES, SCALE_VOLUMES, ROBUST_VOLUMES = 26, 4, 2, 6
"""float32 volumes of a level of SyN: its half-maps, forces and images; masks; scales of updates; learnt weights."""

SUM_VOLUMES, PAIR_VOLUMES = 10, 12
"""Volumes where forces of several pairs of images are added, and of each further pair."""

METRIC_VOLUMES = {"self_similarity": 16, "class_means": 14, "labels": 10, "correlation": 5, "mutual_information": 3}
"""Volumes that a metric takes beside those."""

NEWTON_VOLUMES = 11
"""Volumes of Gauss-Newton steps."""

HELD, HELD_MOVING = 20, 16
"""Bytes per voxel of the fixed and of the moving image, on the grids that are registered, that are held meanwhile."""

JOINING, LINEAR = 108, 76
"""Bytes per voxel of the fixed image while half-maps are joined, and while an affine is judged."""

LIMITING = {"max_bending": 190, "jacobian": 165, "max_strain": 400}
"""Bytes per voxel of the fixed image while a limit of the budget is kept."""

PERTURBED, PERTURBED_MOVING = 68, 4
"""Bytes per voxel of the fixed and of the moving image that are held during perturbed runs of the deformable stage: the
map that was found, its inverse, the spread so far, and the images with noise. Their number does not matter."""
PERTURBED_PAIR = 8
"""Beside them for each further pair that noise is added to."""

WRITING, WRITING_LINEAR = 108, 44
"""Bytes per voxel of the fixed image while files are made, with fields and without."""

COPIES_WRITTEN = 4
"""Copies of the warped images, as given and as encoded, while files are made."""

ENCODED, LEAST_ROOM = 2, 50_000_000
"""Of these the copies that are not made yet while the images are warped; bytes for a part of these in any case."""

MOST_REDUCED = 64
"""Most voxels along an edge of a block."""

NEGLIGIBLE = 500_000_000
"""Bytes of work that are not planned for unless memory is asked for: small images never change with the machine."""

TOLERANCE = 1e-3
"""Share by which voxel sizes that are meant to be equal may differ."""

NOTABLE = 4_000_000_000
"""Bytes from which on a plan is shown without being asked for."""


@dataclass(frozen=True)
class PlannedLevel:
    """A level of the deformable stage.

    Parameters
    ----------
    voxel : float
        Its shortest edge of a voxel, in mm.
    shape : three int
        Voxels along each axis, were all of the fixed image registered; its background is cropped.
    bytes : int
        What the level takes at most.

    Examples
    --------
    >>> from warpline.registration import PlannedLevel
    >>> PlannedLevel(voxel=0.004, shape=(500, 500, 250), bytes=8 * 10**9).shape
    (500, 500, 250)
    """

    voxel: float
    shape: Shape
    bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """How a pair of images is registered within the memory there is.

    Parameters
    ----------
    limit : int
        Bytes that the process may take.
    asked : bool
        Whether the limit was asked for; else it is what is free.
    blocks : tuple of three int each
        Voxels of the fixed and of the moving image along each axis of a voxel that is registered; (1, 1, 1) each where
        the images are registered as they are.
    spacing : float
        Shortest edge in mm of the voxels that are registered.
    levels : tuple of PlannedLevel
        That run, coarse to fine; none for linear recipes.
    left_out : tuple of PlannedLevel
        Finer levels that do not fit.
    images : int
        Bytes of the images as given.
    registering, writing : int
        The most bytes the process takes while it registers, and while it warps the images and writes files.
    leaves_room : bool
        Whether the metrics that are added where contrasts explain each other poorly (`syn.beside`) would fit as well.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid, Recipe
    >>> from warpline.registration import plan_memory
    >>> grid = Grid((1000, 1000, 500), np.diag([0.002, 0.002, 0.002, 1.0]))
    >>> plan = plan_memory(grid, grid, Recipe.load("syn"), image_bytes=10**9, memory=24)
    >>> plan.blocks[0], plan.predicted < 24e9
    ((2, 2, 2), True)
    """

    limit: int
    asked: bool
    blocks: tuple[Shape, Shape]
    spacing: float
    levels: tuple[PlannedLevel, ...]
    left_out: tuple[PlannedLevel, ...]
    images: int
    registering: int
    writing: int
    leaves_room: bool = True

    @property
    def predicted(self) -> int:
        """The most bytes that the process is expected to take."""
        return max(self.registering, self.writing)

    @property
    def room(self) -> int:
        """Bytes that a part of the images as given may take while they are warped."""
        return max(self.limit - self.writing + ENCODED * self.images, LEAST_ROOM)

    @property
    def is_reduced(self) -> bool:
        """Whether images are registered on coarser grids than they have."""
        return self.blocks != ((1, 1, 1), (1, 1, 1))

    @property
    def is_notable(self) -> bool:
        """Whether it is worth being shown before the work."""
        return self.asked or self.is_reduced or self.predicted >= NOTABLE

    def warnings(self) -> tuple[str, ...]:
        """A sentence where the images are reduced."""
        if not self.is_reduced:
            return ()
        sizes = " x ".join(map(str, self.blocks[0]))
        limit = f"the {self.limit / GIGABYTE:.3g} GB {'asked for' if self.asked else 'that are free'}"
        return (
            f"images were registered at {self.spacing:.3g} mm, blocks of {sizes} voxels of the fixed image: more does "
            f"not fit {limit}; displacements and quality are of that grid, warped images of the full one",
        )

    def within(self, recipe: Recipe) -> Recipe:
        """The recipe without metrics that are added on the way, where there is no room for them."""
        if self.leaves_room or recipe.syn is None or recipe.syn.beside is not None:
            return recipe
        return recipe.model_copy(update={"syn": recipe.syn.model_copy(update={"beside": ()})})

    def as_report(self) -> dict[str, Any]:
        """As plain JSON values, bytes as integers."""
        named = {name: [vars(level) for level in getattr(self, name)] for name in ("levels", "left_out")}
        return {**vars(self), **named, "predicted": self.predicted}


def plan_memory(
    fixed: Grid,
    moving: Grid,
    recipe: Recipe,
    *,
    image_bytes: int,
    memory: float | None = None,
    pairs: Sequence[str | None] = (),
) -> MemoryPlan:
    """Plan a registration from its shapes.

    Parameters
    ----------
    fixed, moving : Grid
        Of the images as given.
    recipe : Recipe
        What will run.
    image_bytes : int
        Of both images, their masks and further pairs, as they are in memory.
    memory : float, optional
        GB (10^9 bytes) that the process may take, images included; what is free beside the images when None.
    pairs : sequence of str
        Metrics of further pairs of images; that of the recipe where None.

    Raises
    ------
    UsageError
        When `memory` is not a positive number, or less than the smallest plan needs.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid, Recipe
    >>> from warpline.registration import plan_memory
    >>> grid = Grid((300, 300, 200), np.eye(4))
    >>> plan_memory(grid, grid, Recipe.load("syn"), image_bytes=2 * 10**7, memory=16).blocks[0]
    (1, 1, 1)
    """
    if memory is not None and not 0 < memory < math.inf:
        raise UsageError(f"memory is {memory!r}; a number of GB above 0 is needed")
    held = PROGRAM + image_bytes
    limit = held + free_memory() if memory is None else int(memory * GIGABYTE)
    request = _Request(fixed, moving, recipe, image_bytes, limit, memory is not None, tuple(pairs))
    plan = request.plan(1)
    if memory is None and plan.predicted - held <= NEGLIGIBLE:
        return replace(plan, leaves_room=True)
    for times in range(2, MOST_REDUCED + 1):
        if plan.predicted <= limit:
            return plan
        plan = request.plan(times)
    if plan.predicted <= limit:
        return plan
    raise UsageError(
        f"memory: {limit / GIGABYTE:.2f} GB {'asked for' if memory is not None else 'are free'}, and these images need "
        f"{plan.predicted / GIGABYTE:.2f} GB on the coarsest grid that shows them: give more memory, or smaller images"
    )


@dataclass(frozen=True, eq=False)
class _Request:
    """What `plan_memory` was asked."""

    fixed: Grid
    moving: Grid
    recipe: Recipe
    image_bytes: int
    limit: int
    asked: bool
    pairs: tuple[str | None, ...]

    def plan(self, times: int) -> MemoryPlan:
        """The plan of a pair with voxels so many times as long as the shortest edge of the fixed image."""
        finest = finest_spacing(self.fixed)
        spacing, least = finest * times, least_axis(self.recipe)
        blocks = tuple(block_of(grid, spacing, least) if times > 1 else (1, 1, 1) for grid in (self.fixed, self.moving))
        fixed, moving = (
            reduced_grid(grid, block) for grid, block in zip((self.fixed, self.moving), blocks, strict=True)
        )
        reached = finest_spacing(fixed)
        options = recipe_on(self.recipe, reached / finest).syn
        levels, most = self._levels(fixed, options), self._levels(fixed, _at_most(options))
        whole = self._levels(self.fixed, self.recipe.syn)
        held = PROGRAM + self.image_bytes
        return MemoryPlan(
            limit=self.limit,
            asked=self.asked,
            blocks=(blocks[0], blocks[1]),
            spacing=reached,
            levels=levels,
            left_out=tuple(level for level in whole if level.voxel < (1 - TOLERANCE) * reached),
            images=self.image_bytes,
            registering=held + self._registering(fixed, moving, levels),
            writing=held + self._writing(fixed, times > 1),
            leaves_room=held + self._registering(fixed, moving, most) <= self.limit,
        )

    def _levels(self, grid: Grid, options: Syn | None) -> tuple[PlannedLevel, ...]:
        if options is None:
            return ()
        volumes = _level_volumes(options, self.pairs)
        finest = finest_spacing(grid)
        places = [SharedLevel.of(grid, factor * finest) for factor, _, _ in level_schedule(grid, options)]
        return tuple(
            PlannedLevel(place.spacing, place.grid.shape, 4 * volumes * _voxels(place.grid)) for place in places
        )

    def _writing(self, fixed: Grid, reduced: bool) -> int:
        each_voxel = WRITING_LINEAR if self.recipe.syn is None else WRITING
        return each_voxel * _voxels(fixed) + (COPIES_WRITTEN * self.image_bytes if reduced else 0)

    def _registering(self, fixed: Grid, moving: Grid, levels: tuple[PlannedLevel, ...]) -> int:
        held = HELD * _voxels(fixed) + HELD_MOVING * _voxels(moving)
        held += len(self.pairs) * (HELD + HELD_MOVING) * _voxels(fixed)
        limits = [most for name, most in LIMITING.items() if getattr(self.recipe.budget, name) is not None]
        each_voxel = LINEAR if self.recipe.syn is None else max(JOINING, *limits, 0)
        most = max([held + level.bytes for level in levels] + [each_voxel * _voxels(fixed)])
        if self.recipe.syn is None or self.recipe.uncertainty.is_empty:
            return most
        grey = sum(metric != LABELS for metric in self.pairs)
        return most + (PERTURBED + grey * PERTURBED_PAIR) * _voxels(fixed) + PERTURBED_MOVING * _voxels(moving)


def _at_most(options: Syn | None) -> Syn | None:
    """The options with the metrics that may be added on the way."""
    if options is None or options.beside is not None:
        return options
    return options.model_copy(update={"beside": UNLIKE})


def _level_volumes(options: Syn, pairs: tuple[str | None, ...]) -> int:
    """float32 volumes that a level holds."""
    further = (*(term.metric for term in options.beside or ()), *(metric or options.metric for metric in pairs))
    volumes = LEVEL_VOLUMES + MASK_VOLUMES + SCALE_VOLUMES * bool(options.update_weights)
    volumes += ROBUST_VOLUMES * options.robust + NEWTON_VOLUMES * bool(options.newton)
    volumes += SUM_VOLUMES * bool(further) + PAIR_VOLUMES * len(further)
    return volumes + sum(METRIC_VOLUMES.get(metric, 0) for metric in (options.metric, *further))


def plan_of(
    images: dict[str, Image], pairs: Sequence[LoadedImages], recipe: Recipe, memory: float | None = None
) -> MemoryPlan:
    """The plan of images that were read.

    Parameters
    ----------
    images : dict
        ``"fixed"``, ``"moving"`` and their masks, as `Inputs` has them.
    pairs : sequence of LoadedImages
        Further pairs.
    recipe, memory
        As for `plan_memory`.
    """
    further = (image for pair in pairs for image in pair.images)
    count = sum(image.data.nbytes for image in {id(one): one for one in (*images.values(), *further)}.values())
    grids = images["fixed"].grid, images["moving"].grid
    return plan_memory(*grids, recipe, image_bytes=count, memory=memory, pairs=[pair.metric for pair in pairs])


def least_axis(recipe: Recipe) -> int:
    """Voxels that are left along every axis that is reduced: what levels, and the windows of the metric, need."""
    if recipe.syn is None:
        return SMALLEST_AXIS
    sizes = (deformable_metric(name, recipe.syn).smallest_axis for name in recipe.syn.metrics)
    return max(SMALLEST_AXIS, *sizes)


def block_of(grid: Grid, spacing: float, least: int) -> Shape:
    """Voxels along each axis of a grid that make one of about `spacing` mm, where `least` of these remain."""
    most = np.maximum(np.array(grid.shape) // least, 1)
    wanted = np.floor(spacing / grid.voxel_size + 0.5 + TOLERANCE).astype(int)
    i, j, k = np.clip(wanted, 1, most).tolist()
    return i, j, k


def recipe_on(recipe: Recipe, ratio: float) -> Recipe:
    """The recipe for images whose voxels are `ratio` times as long: its own factors count in voxels as given.

    Levels finer than these voxels are left out; of a recipe that has no others the last one remains.
    """
    if recipe.syn is None or ratio == 1 or (recipe.syn.factors is None and recipe.syn.sigmas is None):
        return recipe
    syn = recipe.syn
    count = len(syn.iterations)
    if syn.factors is None:  # sigmas of the default levels keep their share of these
        return recipe
    kept = [n for n in range(count) if syn.factors[n] >= (1 - TOLERANCE) * ratio] or [count - 1]
    sigmas = None if syn.sigmas is None else tuple(syn.sigmas[n] / ratio for n in kept)
    factors = tuple(max(1.0, syn.factors[n] / ratio) for n in kept)
    changed = syn.model_copy(
        update={"factors": factors, "iterations": tuple(syn.iterations[n] for n in kept), "sigmas": sigmas}
    )
    return recipe.model_copy(update={"syn": changed})


def _voxels(grid: Grid) -> int:
    return math.prod(grid.shape)
