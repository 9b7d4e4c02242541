"""What a pair of images must be to be registered; each refusal names the image and what to do."""

from __future__ import annotations

import numpy as np

from warpline.errors import InputError
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite, check_mask, check_one_volume
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import Recipe
from warpline.space import Affine
from warpline.space.grid import Grid, Matrix, apply_affine

_WORLD_AXES = (("left-right", "x"), ("posterior-anterior", "y"), ("inferior-superior", "z"))


def check_pair(
    fixed: Image,
    moving: Image,
    recipe: Recipe,
    *,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    initial: Affine | None = None,
) -> None:
    """Refuse images that cannot be registered with this recipe.

    Raises
    ------
    InputError
        When an image is not one volume, not finite, constant or smaller than the metric's window, when a
        mask is empty or not on its image's grid, when one image is 2-D and the other a volume, or when the grids do not
        overlap in world space although the headers, or a given start, are to bring them together.
    """
    check_same_dimension(fixed, moving)
    for image, mask in ((fixed, fixed_mask), (moving, moving_mask)):
        check_one_volume(image)
        check_finite(image)
        if mask is not None:
            check_mask(mask, image)
        check_contrast(image, mask)
        check_window(image, recipe)
    if initial is not None or recipe.initialise.method == "identity":
        check_overlap(fixed, moving, initial)


def check_same_dimension(fixed: Image, moving: Image) -> None:
    """Refuse a 2-D image beside a volume."""
    for flat, other in ((fixed, moving), (moving, fixed)):
        if flat.grid.flat and other.grid.shape[2] > 1:
            raise InputError(
                f"{flat.name} is 2-D and {other.name} a volume, shape {other.grid.shape}; two 2-D images or two "
                "volumes can be registered: take the slice out of the volume that shows what the 2-D image does"
            )


def check_window(image: Image, recipe: Recipe) -> None:
    """Refuse an image with fewer voxels along an axis than the metric of SyN needs; axes of one voxel are exempt."""
    if recipe.syn is None:
        return
    smallest = DEFORMABLE_METRICS[recipe.syn.metric](recipe.syn).smallest_axis
    for axis, size in enumerate(image.grid.shape):
        if 1 < size < smallest:
            raise InputError(
                f"{image.name} has {size} voxels along axis {axis}, shape {image.grid.shape}; {recipe.syn.metric} of "
                f"radius {recipe.syn.radius} needs at least {smallest} (or a single slice): lower syn.radius, or run a "
                "linear recipe"
            )


def check_overlap(fixed: Image, moving: Image, initial: Affine | None = None) -> None:
    """Refuse grids whose world boxes are apart, the fixed one carried through `initial` where given."""
    fixed_low, fixed_high = _world_box(fixed.grid, np.eye(4) if initial is None else initial.matrix)
    moving_low, moving_high = _world_box(moving.grid, np.eye(4))
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


def _world_box(grid: Grid, matrix: Matrix) -> tuple[Matrix, Matrix]:
    faces = [(-0.5, n - 0.5) for n in grid.shape]
    corners = apply_affine(matrix @ grid.affine, [(i, j, k) for i in faces[0] for j in faces[1] for k in faces[2]])
    return corners.min(axis=0), corners.max(axis=0)
