"""What a pair of images must be to be registered; each refusal names the image and what to do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite, check_mask, check_one_volume, check_weights
from warpline.io.physical_size import span_of
from warpline.metrics import deformable_metric
from warpline.recipe import Recipe
from warpline.space import Affine, Transform
from warpline.space.grid import Grid, Matrix, apply_affine

_WORLD_AXES = (("left-right", "x"), ("posterior-anterior", "y"), ("inferior-superior", "z"))

_MOST_UNLIKE = 1e5
"""Ratio of the spans of two images above which they are refused: a wrong unit makes 1000, two species 100."""

_PLACES = 9
"""Places along each axis of a grid that a warp is followed from."""


def check_pair(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    *,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    fixed_weights: Image | None = None,
    moving_weights: Image | None = None,
    initial: Transform | None = None,
) -> None:
    """Refuse images that cannot be registered with this recipe.

    Raises
    ------
    UsageError
        When the recipe limits the deformation, or its directions, and a warp is given to start from; when it has no
        deformable stage, which alone heeds weights.
    InputError
        When an image is not one volume, not finite, constant or smaller than the metric's window, when a mask or
        weights count nothing of their image, when weights are negative, when one image is 2-D and another a volume,
        when one spans 100,000 times as much as the other and no start is given, or when the grids do not overlap in
        world space although the headers, or a given start, are to bring them together.
    """
    check_start(initial, recipe)
    check_same_dimension(fixed, moving)
    for image, mask, weights in ((fixed, fixed_mask, fixed_weights), (moving, moving_mask, moving_weights)):
        check_one_volume(image)
        check_finite(image)
        check_counts(image, mask, weights)
        check_contrast(image, mask)
        check_window(image, recipe)
        if weights is not None and recipe.syn is None:
            raise UsageError(
                f"recipe {recipe.name} runs no deformable stage, which alone heeds weights such as {weights.name}: "
                "use syn, or give a mask"
            )
    if initial is None:
        check_spans(fixed, moving)
    if initial is not None or recipe.initialise.method == "identity":
        check_overlap(fixed, moving, initial)


def check_counts(image: Image, mask: Image | None, weights: Image | None) -> None:
    """Refuse a mask or weights that say nothing about their image."""
    for one, check in ((mask, check_mask), (weights, check_weights)):
        if one is not None:
            check_same_dimension(one, image)
            check(one, image)


def unheeded_masks(images: Mapping[str, Image], recipe: Recipe) -> tuple[str, ...]:
    """A sentence where masks are given among the images, and no stage of a recipe heeds them."""
    stages = {name: stage for name, stage in (("linear", recipe.linear), ("syn", recipe.syn)) if stage is not None}
    if any(stage.masks for stage in stages.values()) or not {"fixed_mask", "moving_mask"} & images.keys():
        return ()
    switched = " and ".join(f"{name}.masks" for name in stages)
    how = f"as {switched} of recipe {recipe.name} says" if len(stages) == 1 else f"as {switched} say"
    return (f"masks are heeded by no stage, {how}; only the result is measured in them",)


def check_start(initial: Transform | None, recipe: Recipe) -> None:
    """Refuse to limit a deformation that begins with a given warp, whose own deformation the limits do not know."""
    if initial is None or isinstance(initial, Affine):
        return
    if not recipe.budget.is_empty:
        raise UsageError("a budget limits the whole deformation, and the start holds a warp: leave one of them out")
    if recipe.syn is not None and recipe.syn.directions is not None:
        raise UsageError(
            "syn.directions (--restrict) holds for the whole deformation, and the start holds a warp: leave one out"
        )


def check_same_dimension(fixed: Image, moving: Image) -> None:
    """Refuse a 2-D image beside a volume."""
    for flat, other in ((fixed, moving), (moving, fixed)):
        if flat.grid.flat and other.grid.shape[2] > 1:
            raise InputError(
                f"{flat.name} is 2-D and {other.name} a volume, shape {other.grid.shape}; two 2-D images or two "
                "volumes can be registered: take the slice out of the volume that shows what the 2-D image does"
            )


def check_spans(fixed: Image, moving: Image) -> None:
    """Refuse images of which one spans so much more than the other that no map joins them."""
    still, moved = (span_of(image.grid) for image in (fixed, moving))
    ratio = max(still / moved, moved / still)
    if ratio > _MOST_UNLIKE:
        raise InputError(
            f"{fixed.name} spans {still:.4g} mm along its longest axis and {moving.name} {moved:.4g} mm, {ratio:.4g} "
            f"times as much or as little; at most {_MOST_UNLIKE:,.0f} can be registered: check the unit of length and "
            "the voxel sizes of both headers (warpline check-header FIXED MOVING)"
        )


def check_window(image: Image, recipe: Recipe) -> None:
    """Refuse an image with fewer voxels along an axis than the metric of SyN needs; axes of one voxel are exempt."""
    if recipe.syn is None:
        return
    sizes = {name: deformable_metric(name, recipe.syn).smallest_axis for name in recipe.syn.metrics}
    metric = max(sizes, key=sizes.__getitem__)
    smallest = sizes[metric]
    for axis, size in enumerate(image.grid.shape):
        if 1 < size < smallest:
            raise InputError(
                f"{image.name} has {size} voxels along axis {axis}, shape {image.grid.shape}; {metric} of "
                f"radius {recipe.syn.radius} needs at least {smallest} (or a single slice): lower syn.radius, or run a "
                "linear recipe"
            )


def check_overlap(fixed: Image, moving: Image, initial: Transform | None = None) -> None:
    """Refuse grids whose world boxes are apart, the fixed one carried through `initial` where given."""
    fixed_low, fixed_high = _world_box(fixed.grid, Affine.identity() if initial is None else initial)
    moving_low, moving_high = _world_box(moving.grid, Affine.identity())
    gaps = np.maximum(fixed_low - moving_high, moving_low - fixed_high)
    axis = int(gaps.argmax())
    if gaps[axis] < 0:
        return
    direction, letter = _WORLD_AXES[axis]
    raise InputError(
        f"{fixed.name} and {moving.name} do not overlap in world space: along {direction} they span "
        f"{fixed_low[axis]:.1f} to {fixed_high[axis]:.1f} mm and {moving_low[axis]:.1f} to {moving_high[axis]:.1f} mm, "
        f"{gaps[axis]:.1f} mm apart; correct the affine of one header (srow_{letter}, qoffset_{letter}) "
        f"or start from the centres of mass (initialise.method), or from another transform"
    )


def _world_box(grid: Grid, transform: Transform) -> tuple[Matrix, Matrix]:
    """Lowest and highest coordinates of a grid after a transform: of its outer faces, after a warp of its voxels."""
    rim, places = (0.5, 2) if isinstance(transform, Affine) else (0.0, _PLACES)
    axes = [np.linspace(-rim, n - 1 + rim, places) for n in grid.shape]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    moved = transform.map_points(apply_affine(grid.affine, lattice))
    return moved.min(axis=0), moved.max(axis=0)
