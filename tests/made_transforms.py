"""Grids in four orientations, and made-up transforms between them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from synthetic import smooth_field
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

LPS = np.array((-1.0, -1.0, 1.0))

AXES = {
    "straight": np.eye(3),
    "left-handed": np.diag([-1.0, 1, 1]),
    "oblique": Rotation.from_euler("xyz", (15, -25, 10), degrees=True).as_matrix() @ np.diag([-1.0, 1, 1]),
    "sagittal": Rotation.from_euler("xyz", (4, 7, -9), degrees=True).as_matrix() @ np.eye(3)[:, [1, 2, 0]],
}
"""Directions of the voxel axes: right- and left-handed, straight and oblique, in order and permuted."""

PAIRS = [("straight", "left-handed"), ("left-handed", "oblique"), ("oblique", "sagittal"), ("sagittal", "straight")]
"""Orientations of a fixed and a moving image."""

FIXED_SHAPE, MOVING_SHAPE = (11, 9, 10), (10, 12, 8)


def made_grid(axes, shape=FIXED_SHAPE, size=(2.0, 2.5, 3.0), middle=(4.0, -30.0, 12.0)):
    """A grid in one of `AXES` that a file's single precision holds exactly."""
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes] * size
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine.astype(np.float32))


def made_pair(fixed_axes, moving_axes):
    """Grids of a fixed and a moving image."""
    return made_grid(fixed_axes), made_grid(moving_axes, MOVING_SHAPE, (2.2, 2.0, 3.5), (1.0, -25.0, 9.0))


def made_affine(seed=0):
    """Turned, stretched, sheared and shifted."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rng.uniform(-0.2, 0.2, 3)).as_matrix() @ np.diag(rng.uniform(0.9, 1.1, 3))
    matrix[0, 1] += 0.08
    matrix[:3, 3] = rng.uniform(-6, 6, 3)
    return Affine(matrix)


def made_displacement(grid, seed=0, largest=4.0):
    """A smooth field of up to `largest` mm with an unrelated one as its claimed inverse."""
    first, second = (smooth_field(grid.shape, s, largest) for s in (seed, seed + 7))
    return Displacement(first, grid, second)


def made_chain(grid, seed=0):
    """Displacement first, then a sheared affine."""
    return Chain((made_displacement(grid, seed), made_affine(seed)))


def inner_points(grid, count=40, seed=0):
    """World points (count, 3) at least a voxel inside a grid."""
    share = np.random.default_rng(seed).uniform(0, 1, (count, 3))
    voxels = 1 + share * (np.array(grid.shape) - 3)
    return voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def made_flat(kind):
    """A transform of 2-D images, as what `kind` names."""
    matrix = np.eye(4)
    matrix[:2] = (1.02, 0.05, 0, 1.5), (-0.03, 0.97, 0, -0.8)
    affine, grid = Affine(matrix, flat=True), Grid((11, 9, 1), np.diag([-2.0, 2.5, 1, 1]), flat=True)
    field = Displacement(smooth_field(grid.shape, 0, 2.0), grid)
    return {Affine: affine, Displacement: field, Chain: Chain((field, affine))}[kind]


def made_for(name, kind, grid):
    """A transform that the format `name`, which holds `kind`, can store."""
    made = {Affine: made_affine, Displacement: lambda: made_displacement(grid), Chain: lambda: made_chain(grid)}
    return made_flat(kind) if name.endswith("-2d") else made[kind]()


PLUMB = Grid((6, 7, 8), np.diag([-2.0, 2, 2, 1]))
"""A grid along the axes of the world."""


def turned_grid(degrees):
    """A grid turned about z, whose first voxel lies at world (10, 0, 0)."""
    turn = np.eye(4)
    angle = np.deg2rad(degrees)
    turn[:2, :2] = (np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))
    turn[0, 3] = 10
    return Grid((6, 7, 8), turn @ np.diag([2.0, 2, 2, 1]))
