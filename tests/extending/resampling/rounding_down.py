"""The voxel before each point: an interpolation for tests."""

from __future__ import annotations

import numpy as np

from warpline.images import Image
from warpline.space.dense import pull_back


def warp_down(image, transform, grid, *, outside, backend, threads=None):
    """Carry an image over, each point by the voxel whose indices are its own, rounded down."""
    where = pull_back(transform, grid, backend).voxels(image.grid, slice(0, grid.shape[0]))
    i, j, k = (np.clip(np.floor(x), 0, n - 1).astype(int) for x, n in zip(where, image.grid.shape, strict=True))
    return Image(image.data[i, j, k].reshape(grid.shape), grid)
