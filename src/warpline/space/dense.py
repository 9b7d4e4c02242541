"""Any transform as displacements on a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.space.chain import Chain, Transform
from warpline.space.displacement import Displacement
from warpline.space.grid import Grid, apply_affine


def displacement_on(transform: Transform, grid: Grid) -> NDArray[np.float32]:
    """Where a transform takes the voxels of a grid, as displacements.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        Fixed world to moving world.
    grid : Grid
        Of the fixed image.

    Returns
    -------
    (3, I, J, K) float32
        ``transform(x) - x`` in mm at every voxel centre, components along world R, A, S. Not interpolated where
        the first part is a displacement on the same grid.
    """
    first, rest = _split(transform, grid)
    if first is not None and not rest.parts:
        return first
    moved = np.empty((3, *grid.shape), np.float32)
    for i in range(grid.shape[0]):
        start = _slab(grid, i)
        mapped = rest.map_points(start if first is None else start + np.moveaxis(first[:, i], 0, -1))
        moved[:, i] = np.moveaxis(mapped - start, -1, 0)
    return moved


def _split(transform: Transform, grid: Grid) -> tuple[NDArray[np.float32] | None, Chain]:
    """The field of the first part where that is a displacement on `grid`, and the parts after it."""
    chain = Chain.of(transform)
    first = chain.parts[0] if chain.parts else None
    if isinstance(first, Displacement) and first.grid == grid:
        return first.field, Chain(chain.parts[1:])
    return None, chain


def _slab(grid: Grid, i: int) -> NDArray[np.float64]:
    """World points (J, K, 3) of the voxels whose first index is `i`."""
    _, columns, slices = grid.shape
    voxels = np.indices((1, columns, slices)).reshape(3, columns, slices)
    voxels[0] = i
    return apply_affine(grid.affine, np.moveaxis(voxels, 0, -1))
