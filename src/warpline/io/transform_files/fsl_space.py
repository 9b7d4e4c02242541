"""FSL's coordinates: voxel index times voxel size, x counted from the other end on right-handed grids."""

from __future__ import annotations

import numpy as np

from warpline.geometry import Grid, Matrix


def from_voxels(grid: Grid) -> Matrix:
    """Voxel index to FSL's mm, (4, 4)."""
    scaled = np.diag([*grid.voxel_size, 1.0])
    if np.linalg.det(grid.affine[:3, :3]) > 0:
        scaled[0] = (-scaled[0, 0], 0, 0, (grid.shape[0] - 1) * scaled[0, 0])
    return scaled


def to_world(grid: Grid) -> Matrix:
    """FSL's mm to world (RAS+ mm), (4, 4)."""
    world: Matrix = grid.affine @ np.linalg.inv(from_voxels(grid))
    return world
