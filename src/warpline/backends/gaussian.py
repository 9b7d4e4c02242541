"""Filter weights of the compiled backends."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def gaussian(sigma: float) -> Float:
    """Weights of taps 0..r of a normalised Gaussian of `sigma` voxels, r = max(1, floor(3 sigma + 0.5))."""
    if sigma <= 0:
        return np.ones(1, np.float32)
    radius = max(1, math.floor(3 * sigma + 0.5))
    half = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return (half / (2 * half.sum() - half[0])).astype(np.float32)


def downsampling_offset(n_in: int, n_out: int, factor: float) -> float:
    """Coordinate of the first coarse voxel on the fine axis when both are centred on each other."""
    return (n_in - 1 - factor * (n_out - 1)) / 2
