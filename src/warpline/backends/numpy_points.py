"""Sample points for the NumPy backend: linear interpolation with derivatives, Parzen windows."""

from __future__ import annotations

from itertools import product

import numpy as np

from warpline.backends.arrays import Array, Matrix
from warpline.backends.voxel_coordinates import Doubles, clamp, inside, nearest_index, per_axis


def transform(matrix: Matrix, where: Doubles) -> Doubles:
    """Coordinates (3, ...) through a (3, 4) or (4, 4) matrix."""
    moved: Doubles = np.einsum("ab,b...->a...", matrix[:3, :3], where) + per_axis(matrix[:3, 3], where.ndim)
    return moved


def visible(
    points: Array, values: Array, shape: tuple[int, ...], matrix: Matrix, mask: Array | None
) -> tuple[Doubles, Doubles, Doubles]:
    """Points that lie inside a volume of `shape`, and on its mask.

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
    seen = inside(y, shape)
    if mask is not None:
        seen &= mask[tuple(nearest_index(y, shape))] != 0
    return np.column_stack([x, np.ones(len(x))])[seen], np.asarray(values, dtype=np.float64)[seen], y[:, seen]


def value_and_slope(volume: Array, where: Doubles) -> tuple[Doubles, Doubles]:
    """The linear interpolant at `where` (3, N) and its exact derivative by the coordinates, (3, N).

    The cell of x starts at ``min(floor(x), n - 2)``; where x is clamped, the derivative along that axis is 0.
    """
    size = per_axis(volume.shape, where.ndim)
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


class Parzen:
    """Points inside the moving image under one matrix, and their Parzen windows.

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
