"""A series of a smooth object whose values are known everywhere, so that its motion is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpline.space.grid import Grid, apply_affine

SHAPE = (22, 24, 18)
TURN = Rotation.from_euler("xyz", (10, -15, 20), degrees=True).as_matrix()


def grid(shape=SHAPE, sizes=(3.0, 3.0, 3.5), turn=TURN):
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(sizes)
    affine[:3, 3] = (5, -7, 11) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def brightness(points, contrast=0.0):
    """Values (...,) of an object of about 30 mm at world points (..., 3); another contrast inverts its texture."""
    x, y, z = np.moveaxis(np.asarray(points) - (5, -7, 11), -1, 0)
    outline = 1 / (1 + np.exp((np.sqrt((x / 24) ** 2 + (y / 26) ** 2 + (z / 20) ** 2) - 1) * 12))
    texture = np.sin(x / 4.1 + 0.4) * np.cos(y / 5.3) + np.sin(z / 4.7 + y / 9)
    return 1000 * outline * (1 + (0.25 - contrast) * texture)


def rigid(shift, degrees, centre=(5, -7, 11)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("XYZ", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = np.asarray(centre) + shift - matrix[:3, :3] @ centre
    return matrix


def seen_through(where, matrix, contrast=0.0):
    """The volume of an object that lies at ``matrix x``."""
    voxels = np.moveaxis(np.indices(where.shape), 0, -1)
    return brightness(apply_affine(np.linalg.inv(matrix) @ where.affine, voxels), contrast).astype(np.float32)


@dataclass(frozen=True)
class MadeSeries:
    grid: Grid
    matrices: np.ndarray
    data: np.ndarray


def made_series(count=6, where=None, seed=0, noise=4.0):
    """Volumes in random motion of a millimetre and a degree, the first at rest, brightness drifting."""
    rng, where = np.random.default_rng(seed), where or grid()
    moves = rng.normal(0, 0.8, (count, 6))
    moves[0] = 0
    matrices = np.stack([rigid(move[:3], move[3:]) for move in moves])
    data = np.stack([seen_through(where, one) * (1 + 0.02 * n) for n, one in enumerate(matrices)], axis=-1)
    return MadeSeries(where, matrices, (data + rng.normal(0, noise, data.shape)).astype(np.float32))


def largest_error(found, true, where):
    """Largest distance in mm between the corners of a box of 40 mm as two maps (T, 4, 4) place them."""
    corners = np.array(np.meshgrid(*[(-20, 20)] * 3)).reshape(3, -1).T + (5, -7, 11)
    apart = [apply_affine(a, corners) - apply_affine(b, corners) for a, b in zip(found, true, strict=True)]
    return float(np.linalg.norm(apart, axis=-1).max())
