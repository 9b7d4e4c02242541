"""FSL's coordinates: voxel index times voxel size, x counted from the other end on right-handed grids.

The voxel size is pixdim of the header, in the header's unit of length; it is the length of the affine's columns only
where the header agrees with itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.space.grid import Grid, Matrix


def sizes(grid: Grid) -> NDArray[np.float64]:
    """The voxel sizes (3,) that FSL counts by."""
    stated = None if grid.header is None else grid.header.pixdim
    return grid.voxel_size if stated is None else np.array(stated)


def from_voxels(grid: Grid) -> Matrix:
    """Voxel index to FSL's mm, (4, 4)."""
    scaled = np.diag([*sizes(grid), 1.0])
    stated = None if grid.header is None else grid.header.right_handed
    if stated or (stated is None and np.linalg.det(grid.affine[:3, :3]) > 0):
        scaled[0] = (-scaled[0, 0], 0, 0, (grid.shape[0] - 1) * scaled[0, 0])
    return scaled


def to_world(grid: Grid) -> Matrix:
    """FSL's mm to world (RAS+ mm), (4, 4)."""
    world: Matrix = grid.affine @ np.linalg.inv(from_voxels(grid))
    return world
