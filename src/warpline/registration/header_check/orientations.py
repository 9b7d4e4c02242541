"""Orientations of voxel axes: signed permutations, the nearest one to a matrix, and their names."""

from __future__ import annotations

from functools import cache
from itertools import permutations, product

import numpy as np

from warpline.space.grid import Grid, Matrix

ANATOMY = ("left-right", "posterior-anterior", "inferior-superior")
"""Directions of the world's axes x, y and z."""

_AXES = "ijk"


@cache
def orientations(*, in_plane: bool = False) -> tuple[Matrix, ...]:
    """Signed permutations (3, 3), the identity first: 48, or the 8 that leave the third axis alone.

    Column k says which axis of the header the stored axis k runs along.
    """
    every = [
        np.eye(3)[:, list(order)] * signs + 0.0
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]
    allowed = [one for one in every if one[2, 2] == 1.0 or not in_plane]
    return tuple(sorted(allowed, key=lambda one: -np.trace(one)))


def nearest_orientation(matrix: Matrix, *, in_plane: bool = False) -> Matrix:
    """The signed permutation that a linear map (3, 3) is nearest to, once it is rid of its stretch."""
    left, _, right = np.linalg.svd(matrix)
    return max(orientations(in_plane=in_plane), key=lambda one: float(np.trace(one.T @ left @ right)))


def is_mirrored(orientation: Matrix) -> bool:
    """Whether a signed permutation changes left-handed to right-handed."""
    return bool(np.linalg.det(orientation) < 0)


def describe(orientation: Matrix, grid: Grid) -> str:
    """A signed permutation of the voxel axes of a grid, in words.

    Parameters
    ----------
    orientation : (3, 3)
        As in `orientations`.
    grid : Grid
        By its header.
    """
    along = np.abs(grid.affine[:3, :3] / grid.voxel_size).argmax(axis=0)
    moved = [axis for axis in range(3) if orientation[axis, axis] == 0]
    flipped = [axis for axis in range(3) if orientation[axis, axis] == -1]
    parts = [f"its axis {_AXES[axis]} ({ANATOMY[along[axis]]} by the header) is flipped" for axis in flipped]
    for axis in moved:
        target = int(np.abs(orientation[:, axis]).argmax())
        back = ", flipped" if orientation[target, axis] < 0 else ""
        parts.append(
            f"its axis {_AXES[axis]} runs along {ANATOMY[along[target]]}{back}, by the header {ANATOMY[along[axis]]}"
        )
    return "; ".join(parts) or "its axes run as its header has them"
