"""Voxel coordinates: which lie inside a volume, and which voxel is the nearest, by ITK's rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]


def is_inside(x: Any, n: Any) -> Any:
    """Whether ``-0.5 <= x < n - 0.5``, for numbers and arrays alike, also when compiled; False at NaN."""
    return (x >= -0.5) & (x < n - 0.5)


def inside(coordinates: Doubles, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which coordinates (3, ...) lie inside a volume along every axis: (...).

    Examples
    --------
    >>> import numpy as np
    >>> inside(np.array([[-0.5, 1.4, 1.5, np.nan], [0.0] * 4, [0.0] * 4]), (2, 1, 1))
    array([ True,  True, False, False])
    """
    within: NDArray[np.bool_] = np.logical_and.reduce(is_inside(coordinates, per_axis(shape, coordinates.ndim)), axis=0)
    return within


def clamp(coordinates: Doubles, shape: tuple[int, ...]) -> Doubles:
    """Coordinates (3, ...) clamped to [0, n - 1]; NaN becomes 0, so that indices are always valid."""
    clamped: Doubles = np.fmin(np.fmax(coordinates, 0.0), per_axis(shape, coordinates.ndim) - 1)
    return clamped


def nearest_index(coordinates: Doubles, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Index of the nearest voxel ``floor(x + 0.5)``, clamped to the volume: (3, ...)."""
    return clamp(np.floor(coordinates + 0.5), shape).astype(np.intp)


def per_axis(numbers: ArrayLike, ndim: int) -> NDArray[Any]:
    """Three numbers shaped to broadcast against coordinates (3, ...) of `ndim` axes."""
    return np.reshape(numbers, (3, *[1] * (ndim - 1)))
