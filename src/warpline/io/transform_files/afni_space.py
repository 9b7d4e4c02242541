"""AFNI's coordinates: LPS mm on grids turned to the nearest axes.

AFNI drops the obliquity of a header: it keeps voxel sizes and the place of the first voxel, and lets each axis run
along the world axis nearest to it.
"""

from __future__ import annotations

import numpy as np
from nibabel.affines import obliquity

from warpline.errors import InputError
from warpline.space.grid import Grid, Matrix

_STRAIGHT = np.deg2rad(0.01)
"""Obliquity below which a grid counts as straight."""


def from_world(grid: Grid) -> Matrix:
    """World of the header (RAS+ mm) to the world that AFNI sees, still RAS+ mm, (4, 4).

    Raises
    ------
    InputError
        When two axes of the grid are nearest to the same axis of the world.
    """
    if np.max(obliquity(grid.affine)) <= _STRAIGHT:
        return np.eye(4)
    nearest = np.abs(grid.affine[:3, :3]).argmax(axis=0)
    if len(set(nearest.tolist())) < 3:
        raise InputError("a grid so oblique that two of its axes are nearest to one of the world has no place in AFNI")
    straight = np.eye(4)
    straight[:3, :3] = 0
    straight[nearest, range(3)] = np.sign(grid.affine[nearest, range(3)]) * grid.voxel_size
    straight[:3, 3] = grid.affine[:3, 3]
    turned: Matrix = straight @ grid.inverse_affine
    return turned
