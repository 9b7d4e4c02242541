"""A pair of grids in several orientations, with transforms that ANTsPy itself wrote between them."""

from __future__ import annotations

import ants
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from warpline.space.grid import Grid

TURN = Rotation.from_euler("xyz", (12, -18, 9), degrees=True).as_matrix()
DIRECTIONS = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, 1, 1]),
    "oblique": TURN,
    "oblique, flipped, permuted": (TURN @ np.diag([1.0, -1, 1]))[:, [1, 2, 0]],
}
"""Of the axes of the fixed grid, RAS."""


def made_grid(direction, shape, size):
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(size)
    affine[:3, 3] = np.array([3.0, -20, 8]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine.astype(np.float32))


def in_ants(array, grid, components=False):
    """An ANTsImage of an array on a grid."""
    flip = np.diag([-1.0, -1, 1])
    return ants.from_numpy(
        np.asarray(array, np.float32),
        origin=(flip @ grid.affine[:3, 3]).tolist(),
        spacing=grid.voxel_size.tolist(),
        direction=flip @ (grid.affine[:3, :3] / grid.voxel_size),
        has_components=components,
    )


def smooth(shape, seed, sigma=1.5):
    noise = np.random.default_rng(seed).normal(size=shape)
    return (100 * gaussian_filter(noise, sigma)).astype(np.float32)


def write_warp(path, grid, seed=0, largest=3.0):
    """A displacement field in mm on a grid, written by ANTsPy."""
    field = np.stack(
        [gaussian_filter(np.random.default_rng(seed + c).normal(size=grid.shape), 2) for c in range(3)], -1
    )
    ants.image_write(in_ants(field * (largest / np.abs(field).max()), grid, True), str(path))
    return str(path)


def write_affine(path, seed=0):
    """An affine with a centre, written by ANTsPy."""
    rng = np.random.default_rng(seed)
    matrix = Rotation.from_rotvec(rng.uniform(-0.2, 0.2, 3)).as_matrix() @ np.diag(rng.uniform(0.9, 1.1, 3))
    matrix[0, 1] += 0.1
    made = ants.create_ants_transform(
        transform_type="AffineTransform",
        precision="float" if seed % 2 else "double",
        dimension=3,
        matrix=matrix,
        translation=rng.uniform(-4, 4, 3),
        center=[-3.0, 20.0, 8.0],
    )
    ants.write_transform(made, str(path))
    return str(path)
