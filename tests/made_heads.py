"""Made-up heads whose place in the world is known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from warpline.images import Image
from warpline.space.grid import Grid, apply_affine

HALF_AXES = np.array([52.0, 68.0, 45.0])
"""Of the head, in mm along world R, A, S."""


def head(points, seed=0):
    """Intensity at world points (..., 3): textured inside an ellipsoid with two unlike dark blobs, 0 outside."""
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=(40, 40, 40)), 1.5)
    texture = texture / texture.std()
    where = np.moveaxis(points / 5.0 + 19.5, -1, 0)
    body = 100 + 20 * map_coordinates(texture, where, order=1, mode="nearest")
    radius = np.linalg.norm(points / HALF_AXES, axis=-1)
    for centre, width, depth in (((15, 25, 10), 14, 70), ((-18, -20, 5), 9, 90)):
        body -= depth * np.exp(-0.5 * np.square((points - centre) / width).sum(axis=-1))
    return np.where(radius < 1, np.maximum(body, 5), 0)


def world_of(grid):
    """World positions of every voxel, (*shape, 3)."""
    return apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def scan(grid, matrix=None, contrast=lambda v: v, name="head"):
    """The head on `grid`, moved so that ``matrix`` (4, 4) carries it back: ``scan(y) = head(matrix y)``."""
    world = world_of(grid)
    values = contrast(head(world if matrix is None else apply_affine(matrix, world)))
    return Image(values.astype(np.float32), grid, name)


def lattice(turn=None, size=3.0, shape=(44, 54, 38), shift=(0, 0, 0)):
    """A grid around the world's origin; `turn` (3, 3) is its orientation."""
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) * size
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2) + shift
    return Grid(shape, affine)


def head_points(count=200):
    """World points inside the head, (count, 3)."""
    unit = np.random.default_rng(9).uniform(-0.55, 0.55, (count, 3))
    return unit * HALF_AXES


def error(affine, truth):
    """Mean distance in mm over the head between an `Affine` and the true matrix (4, 4)."""
    points = head_points()
    return float(np.linalg.norm(affine.map_points(points) - apply_affine(truth, points), axis=1).mean())
