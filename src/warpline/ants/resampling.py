"""Images on other grids, with ANTsPy's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from warpline import operations
from warpline.ants.applying import INTERPOLATORS
from warpline.ants.images import to_nibabel
from warpline.errors import UsageError
from warpline.space import Affine
from warpline.space.grid import Grid

NUMBERED = {0: "linear", 1: "nearestNeighbor", 4: "bSpline"}
"""Numbers of `resample_image`; 2 (gaussian) and 3 (windowed sinc) are not offered under a number."""

BY_ORDER = ("linear", "nearestNeighbor", "gaussian", "cosineWindowedSinc", "bSpline")
"""Numbers of `resample_image_to_target`."""


def resample_image(image: Any, resample_params: Sequence[float], use_voxels: bool = False, interp_type: int = 1) -> Any:
    """Resample an image to another voxel size or shape; the centre of the first voxel stays where it is.

    Parameters
    ----------
    image : nibabel image, path, Image or (array, affine)
        2-D, 3-D, or 4-D: then volume by volume.
    resample_params : (dimension,)
        Voxel size in mm; or, with `use_voxels`, the shape, between whose outermost voxel centres the image is spread.
    use_voxels : bool
        Which of the two.
    interp_type : {0, 1, 4}
        Linear, nearest neighbour, B-spline.

    Returns
    -------
    nibabel.Nifti1Image
        Nearest neighbour keeps the data type, the others give float32.

    Raises
    ------
    UsageError
        When the numbers do not fit the image, or the interpolation is not offered.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> ants.resample_image((np.ones((4, 4, 4), np.float32), np.eye(4)), (2, 2, 2)).shape
    (2, 2, 2)
    """
    if interp_type not in NUMBERED:
        raise UsageError(f"interp_type is {interp_type!r}; choose from {NUMBERED}, or use resample_image_to_target")
    source = operations.read(image, "image")
    grid = _resized_grid(source.grid, resample_params, use_voxels)
    how = INTERPOLATORS[NUMBERED[interp_type]]
    return to_nibabel(operations.apply(source, grid, Affine.identity(), interpolation=how))


def resample_image_to_target(
    image: Any, target: Any, interp_type: str | int = "linear", imagetype: int = 0, verbose: bool = False
) -> Any:
    """Resample an image onto the grid of another one, both as they lie in world space.

    Parameters
    ----------
    image, target : nibabel image, path, Image or (array, affine)
        Image, and whose grid the result gets.
    interp_type : str or int
        A key of `INTERPOLATORS`, or a place in `BY_ORDER`.
    imagetype : {0, 3}
        Without effect: a 4-D image is a series.
    verbose : bool
        Without effect.

    Returns
    -------
    nibabel.Nifti1Image
        As from `apply_transforms`.

    Raises
    ------
    UsageError
        When the interpolation or the type of image is not offered.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> fine, coarse = np.ones((8, 8, 8), np.float32), np.zeros((4, 4, 4), np.float32)
    >>> ants.resample_image_to_target((fine, np.eye(4)), (coarse, 2 * np.eye(4) - np.diag([0, 0, 0, 1]))).shape
    (4, 4, 4)
    """
    if imagetype not in (0, 3):
        raise UsageError(f"imagetype is {imagetype!r}; choose from 0, 3, or use apply_transforms")
    name = BY_ORDER[interp_type] if isinstance(interp_type, int) and interp_type in range(5) else interp_type
    if name not in INTERPOLATORS:
        raise UsageError(f"interp_type is {interp_type!r}; choose from {', '.join(INTERPOLATORS)}")
    grid, how = operations.read(target, "target").grid, INTERPOLATORS[str(name)]
    return to_nibabel(operations.apply(image, grid, Affine.identity(), interpolation=how))


def _resized_grid(grid: Grid, wanted: Sequence[float], use_voxels: bool) -> Grid:
    """ITK's rule: new voxels along each axis, from the centre of the first one on."""
    old = np.array(grid.shape)
    given = np.asarray(wanted, dtype=np.float64)
    if given.shape == (2,) and old[2] == 1:
        given = np.append(given, 1.0 if use_voxels else grid.voxel_size[2])
    if given.shape != (3,) or not (given > 0).all():
        raise UsageError(f"resample_params is {list(wanted)}; a number above 0 is needed for each axis of {grid.shape}")
    if use_voxels:
        shape = np.maximum(given.astype(int), 1)
        ratio = np.where(shape > 1, (old - 1) / np.maximum(shape - 1, 1), 1.0)
    else:
        ratio = given / grid.voxel_size
        shape = np.maximum(np.floor(old / ratio + 0.5).astype(int), 1)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), grid.affine @ np.diag([*ratio, 1.0]), grid.flat)
