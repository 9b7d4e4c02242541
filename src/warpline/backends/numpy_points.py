"""Points in voxel coordinates: the border rules, linear values with their slopes, Parzen windows."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends.arrays import Array, Matrix

Doubles = NDArray[np.float64]


def transform(matrix: Matrix, where: Doubles) -> Doubles:
    """Coordinates (3, ...) through a (3, 4) or (4, 4) matrix."""
    moved: Doubles = np.einsum("ab,b...->a...", matrix[:3, :3], where) + _per_axis(matrix[:3, 3], where.ndim)
    return moved


def inside(where: Doubles, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where ``-0.5 <= x < n - 0.5`` along every axis; False at NaN: (...)."""
    size = _per_axis(shape, where.ndim)
    within: NDArray[np.bool_] = np.logical_and.reduce((where >= -0.5) & (where < size - 0.5), axis=0)
    return within


def clamp(where: Doubles, shape: tuple[int, ...]) -> Doubles:
    """Coordinates pulled into [0, n - 1]; NaN goes to 0, so that no index is ever undefined."""
    clamped: Doubles = np.fmin(np.fmax(where, 0.0), _per_axis(shape, where.ndim) - 1)
    return clamped


def nearest_index(where: Doubles, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Index ``floor(x + 0.5)``, pulled into the volume: (3, ...)."""
    return clamp(np.floor(where + 0.5), shape).astype(np.intp)


def visible(
    points: Array, values: Array, shape: tuple[int, ...], matrix: Matrix, mask: Array | None
) -> tuple[Doubles, Doubles, Doubles]:
    """Points that fall inside a volume of `shape`, and on its mask.

    Returns
    -------
    x : (N, 4)
        Homogeneous coordinates on the fixed grid.
    f : (N,)
        Fixed values.
    y : (3, N)
        Coordinates in the volume.
    """
    x = np.asarray(points, dtype=np.float64)
    y = transform(matrix, x.T)
    kept = inside(y, shape)
    if mask is not None:
        kept &= mask[tuple(nearest_index(y, shape))] != 0
    return np.column_stack([x, np.ones(len(x))])[kept], np.asarray(values, dtype=np.float64)[kept], y[:, kept]


def value_and_slope(volume: Array, where: Doubles) -> tuple[Doubles, Doubles]:
    """The linear interpolant at `where` (3, N) and its exact derivative by the coordinates, (3, N).

    The cell of x starts at ``min(floor(x), n - 2)``; where x is clamped, the derivative along that axis is 0.
    """
    size = _per_axis(volume.shape, where.ndim)
    clamped = clamp(where, volume.shape)
    start = np.minimum(np.floor(clamped), np.maximum(size - 2, 0)).astype(np.intp)
    fraction = clamped - start
    value, slope = np.zeros(where.shape[1]), np.zeros(where.shape)
    for corner in product((0, 1), repeat=3):
        side = np.array(corner)[:, None]
        weight = np.where(side == 1, fraction, 1 - fraction)
        at_corner = volume[tuple(np.minimum(start + side, size - 1))].astype(np.float64)
        value += weight.prod(axis=0) * at_corner
        for axis in range(3):
            others = np.delete(weight, axis, axis=0).prod(axis=0)
            slope[axis] += (2 * corner[axis] - 1) * others * at_corner
    return value, np.where(where == clamped, slope, 0)


def statistics(values: NDArray[Any], share: float) -> Doubles:
    """Number, mean, value of rank ``min(floor(share n), n - 1)``, and maximum of `values` (n,)."""
    count = values.size
    if count == 0:
        return np.zeros(4)
    rank = min(int(share * count), count - 1)
    quantile = np.partition(values, rank)[rank]
    return np.array([count, values.mean(dtype=np.float64), quantile, values.max()], dtype=np.float64)


def handed_over(found: Doubles, out: Doubles | None) -> Doubles:
    """What was found, in `out` where that is given."""
    if out is None:
        return found
    out[...] = found
    return out


def sums(volume: Array, mask: Array | None) -> Doubles:
    """Number, sum and sum of squares of the values of a volume, where the mask is not 0."""
    values = volume if mask is None else volume[mask != 0]
    return np.array([values.size, values.sum(dtype=np.float64), np.square(values, dtype=np.float64).sum()])


class Parzen:
    """Points seen under one matrix, and the windows through which they enter a joint histogram.

    Parameters
    ----------
    points, values, volume, matrix, mask
        See `Backend.mutual_information`.
    """

    def __init__(self, points: Array, values: Array, volume: Array, matrix: Matrix, mask: Array | None) -> None:
        self._x, f, y = visible(points, values, volume.shape, matrix, mask)
        self._rows = np.floor(f + 0.5).astype(np.intp)
        self._m, self._slope = value_and_slope(volume, y)
        first = np.floor(self._m).astype(np.intp) - 1
        self._columns = [first + step for step in range(4)]

    def histogram(self, bins: int) -> Doubles:
        """Rows fixed, columns moving: (bins, bins)."""
        found = np.zeros((bins, bins))
        for column in self._columns:
            np.add.at(found, (self._rows, column), b_spline(column - self._m))
        return found

    def slope(self, table: Doubles) -> Doubles:
        """``d sum(table * histogram) / d matrix`` for a constant table (bins, bins): (3, 4)."""
        by_value = sum(-table[self._rows, column] * b_spline_slope(column - self._m) for column in self._columns)
        derivative: Doubles = (by_value * self._slope) @ self._x
        return derivative


def b_spline(distance: Doubles) -> Doubles:
    """Cubic B-spline at `distance` bins."""
    t = np.abs(distance)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6)


def b_spline_slope(distance: Doubles) -> Doubles:
    """Derivative of the cubic B-spline by `distance`."""
    t = np.abs(distance)
    slope: Doubles = np.sign(distance) * np.where(t < 1, 1.5 * t**2 - 2 * t, -0.5 * np.maximum(2 - t, 0) ** 2)
    return slope


def _per_axis(numbers: ArrayLike, ndim: int) -> NDArray[Any]:
    """Three numbers shaped to broadcast against coordinates (3, ...) of `ndim` axes."""
    return np.reshape(numbers, (3, *[1] * (ndim - 1)))
