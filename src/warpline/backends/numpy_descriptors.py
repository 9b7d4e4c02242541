"""Descriptors in plain NumPy; see `warpline.backends.descriptors.DescriptorOperations`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, uniform_filter

from warpline.backends.arrays import Array
from warpline.backends.descriptors import CHANNELS, LARGEST, SIMILARITY_PAIRS
from warpline.backends.host_backend import Doubles


class NumpyDescriptors:
    """Operations of `DescriptorOperations`, documented there."""

    def describe(self, volume: Array, *, floor: float, out: Array | None = None) -> Array:
        out = np.zeros((*volume.shape, CHANNELS), np.uint8) if out is None else out
        padded = np.pad(np.asarray(volume, np.float64), 2, mode="edge")
        neighbours = [np.roll(padded, -step, axis) for axis in range(3) for step in (-1, 1)]
        inner = (slice(2, -2),) * 3
        distances = np.stack(
            [uniform_filter((neighbours[a] - neighbours[b]) ** 2, 3)[inner] for a, b in SIMILARITY_PAIRS]
        )
        distances -= distances.min(0)
        similar = np.exp(-distances / (distances.mean(0) + floor))
        out[...] = 0
        out[..., : len(SIMILARITY_PAIRS)] = np.moveaxis(np.rint(LARGEST * similar), 0, -1)
        return out

    def warp(self, descriptors: Array, field: Array, *, out: Array) -> Array:
        for source, shift, to in zip(descriptors, field, out, strict=True):
            ends = np.array(source.shape[:3]).reshape(3, 1, 1, 1) - 1
            at = np.clip(np.indices(source.shape[:3]) + np.asarray(shift, np.float64), 0, ends)
            for channel in range(CHANNELS):
                found = map_coordinates(source[..., channel].astype(np.float64), at, order=1, mode="nearest")
                to[..., channel] = np.floor(found + 0.5)
        return out

    def forces(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        f, m = (np.asarray(one, np.float64) / LARGEST for one in (fixed, moving))
        weight = np.ones(f.shape[:3]) if mask is None else np.maximum(np.asarray(mask, np.float64), 0)
        value[...] = (weight * ((m - f) ** 2).sum(-1)).mean()
        active = weight * _interior(weight.shape)
        for axis in range(3):
            out_fixed[axis] = active * ((m - f) * _slope(f, axis)).sum(-1)
            out_moving[axis] = active * ((f - m) * _slope(m, axis)).sum(-1)


def _slope(descriptors: Doubles, axis: int) -> Doubles:
    """Central differences along an axis; zero along one of a single voxel."""
    if descriptors.shape[axis] == 1:
        return np.zeros_like(descriptors)
    slope: Doubles = np.gradient(descriptors, axis=axis)
    return slope


def _interior(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True off the outer faces; axes of one voxel have none."""
    inside = np.zeros(shape, bool)
    inside[tuple(slice(1, -1) if n > 1 else slice(None) for n in shape)] = True
    return inside
