"""Planes of volumes by linear interpolation: along one axis after the other where the axes are parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Plane = NDArray[np.float32]

Planes = NDArray[np.float32]

Line = NDArray[np.float64]
"""Coordinates along one axis."""

Beyond = Literal["constant", "nearest"]
"""What lies outside a volume: 0, or what its border holds."""

_SLANT = 1e-6
"""Voxels along one axis for one along another up to which they count as parallel: 0.001 voxel over a whole volume."""


def interpolate_planes(
    volume: NDArray[np.generic],
    matrix: NDArray[np.float64],
    lines: Mapping[int, Line],
    axes: tuple[int, int, int],
    *,
    beyond: Beyond,
) -> Planes:
    """A volume, linearly interpolated on planes that lie behind each other: (N, H, W).

    Parameters
    ----------
    volume : (I, J, K)
        Any type.
    matrix : (4, 4)
        From coordinates of the planes' grid to those of the volume.
    lines : dict of int to (N,), (W,) or (H,)
        Coordinates of the planes along each axis of their grid.
    axes : (normal, across, up)
        Axes of the planes' grid.
    beyond : str
        What lies outside.
    """
    linear, shift = matrix[:3, :3], matrix[:3, 3]
    sources = _parallel(linear)
    if sources is None:
        return _slanted(volume, matrix, [lines[axis] for axis in axes], axes, beyond)
    places = [linear[sources[axis], axis] * lines[axis] + shift[sources[axis]] for axis in axes]
    planes = np.moveaxis(volume, [sources[axis] for axis in axes], (0, 2, 1))
    for axis, line in zip((0, 2, 1), places, strict=True):
        planes = _interpolated(planes, line, axis, beyond)
    return np.ascontiguousarray(planes, np.float32)


def _slanted(
    volume: NDArray[np.generic],
    matrix: NDArray[np.float64],
    lines: Sequence[Line],
    axes: tuple[int, ...],
    beyond: Beyond,
) -> Planes:
    at, across, up = (np.multiply.outer(matrix[:3, axis], line) for axis, line in zip(axes, lines, strict=True))
    base = up[:, :, None] + across[:, None, :] + matrix[:3, 3, None, None]
    return np.stack(
        [
            map_coordinates(volume, base + step[:, None, None], np.float32, order=1, mode=beyond)  # type: ignore[call-overload]
            for step in at.T
        ]
    )


def _parallel(linear: NDArray[np.float64]) -> list[int] | None:
    """For each axis of the plane's grid the axis of the volume that runs along it; None where axes are slanted."""
    sources = [int(np.argmax(np.abs(linear[:, axis]))) for axis in range(3)]
    others = linear.copy()
    others[sources, range(3)] = 0
    return sources if len(set(sources)) == 3 and np.abs(others).max() < _SLANT else None


def _interpolated(values: NDArray[Any], places: Line, axis: int, beyond: Beyond) -> NDArray[Any]:
    """Values at places (M,) along one of their axes; nothing is computed where the places are whole."""
    last = values.shape[axis] - 1
    inside = np.clip(places, 0, last)
    below = np.minimum(np.floor(inside).astype(np.intp), max(last - 1, 0))
    below = np.where(inside - below == 1, below + 1, below)
    found = _taken(values, below, axis)
    share = (inside - below).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    if share.any():
        step = np.subtract(_taken(values, np.minimum(below + 1, last), axis), found, dtype=np.float32)
        step *= share
        step += found
        found = step
    outside = (places < 0) | (places > last)
    if beyond == "constant" and outside.any():
        found = found if share.any() else np.array(found)  # of the volume itself, mostly
        found[(*[slice(None)] * axis, outside)] = 0
    return found


def _taken(values: NDArray[Any], at: NDArray[np.intp], axis: int) -> NDArray[Any]:
    """Some of the values along an axis: a view where they are evenly spaced."""
    steps = np.diff(at)
    step = int(steps[0]) if steps.size else 1
    before = [slice(None)] * axis
    if step == 0 or (steps != step).any():
        index: tuple[Any, ...] = (*before, at)  # np.take would first copy all of a view
        return np.asarray(values[index])
    end = int(at[-1]) + step
    return values[(*before, slice(int(at[0]), None if end < 0 else end, step))]
