"""A pair of oblique, flipped, anisotropic grids with smooth images and displacements on them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from synthetic import fading_field
from warpline.images import Image
from warpline.space import Affine, Displacement, fields
from warpline.space.grid import Grid, apply_affine

FIXED = Grid((14, 12, 10), np.array([[1.9, 0.1, 0, -13], [-0.1, 2.0, 0.2, -12], [0, -0.2, 2.2, -11], [0, 0, 0, 1]]))
MOVING = Grid((18, 20, 11), np.array([[-1.5, 0, 0.1, 14], [0, 1.4, 0, -14], [0.1, 0, 2.5, -14], [0, 0, 0, 1]]))
TURN = Affine(np.array([[0.98, -0.1, 0, 1.0], [0.1, 1.02, 0, -0.5], [0, 0.05, 0.99, 0.7], [0, 0, 0, 1]]))


def smooth_image(grid, seed=3):
    data = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=grid.shape), 1.5).astype(np.float32)
    return Image(100 * data, grid)


def smooth_field(grid, size=2.0, seed=4):
    noise = np.random.default_rng(seed).normal(size=(3, *grid.shape))
    field = ndimage.gaussian_filter(noise, (0, 2.5, 2.5, 2.5))
    return Displacement((field * size / np.abs(field).max()).astype(np.float32), grid)


def fading(grid, largest=2.0, seed=0):
    """A displacement of up to `largest` voxels that is zero at the faces of its grid."""
    return Displacement(fields.to_world(fading_field(grid.shape, seed, largest), grid), grid)


def world_points(grid):
    return apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def linear_oracle(image, points):
    """Linear interpolation at world points; NaN where a point is within one voxel of the border or beyond."""
    voxels = np.moveaxis(apply_affine(image.grid.inverse_affine, points), -1, 0)
    return ndimage.map_coordinates(image.data.astype(float), voxels, order=1, cval=np.nan)


def oblique_grid(shape, mirrored=False):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec([0.4, 0.1, -0.3]).as_matrix() * (1.0, 2.0, 3.5)
    if mirrored:
        affine[:3, 1] *= -1
    affine[:3, 3] = (5, -8, 20)
    return Grid(shape, affine)


def straight_grid(shape, size=(1.0, 1.0, 1.0)):
    return Grid(shape, np.diag([*size, 1.0]))
