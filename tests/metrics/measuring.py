"""Small pairs of images, and metrics measured on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from synthetic import smooth_volume
from warpline.metrics import LINEAR_METRICS, Samples
from warpline.metrics.normalised_product import NormalisedProduct
from warpline.recipe import Linear

SHAPE = (13, 12, 11)
"""Of pairs for deformable metrics."""


@dataclass(frozen=True)
class OnLevel:
    """An image whose grid is that of the level."""

    volume: Any

    @property
    def shape(self):
        return self.volume.shape

    def resampled(self, volume):
        return volume


def features_of(metric, fixed, moving, backend):
    """What the metric compares, on the backend."""
    return metric.features((OnLevel(backend.upload(fixed)), OnLevel(backend.upload(moving))), backend)


def measure(metric, fixed, moving, backend, mask=None):
    """(value, force on fixed, force on moving) on the host."""
    forces = backend.empty((2, 3, *fixed.shape))
    value = backend.zeros((1,), np.float64)
    mask = None if mask is None else backend.upload(mask)
    metric.forces(features_of(metric, fixed, moving, backend), forces, value, mask=mask, backend=backend)
    return float(backend.download(value)[0]), *(np.array(backend.download(f)) for f in forces)


def rough_pair(shape=SHAPE, seed=0):
    return smooth_volume(shape, seed), smooth_volume(shape, seed + 1)


# -- linear metrics -------------------------------------------------------------------------------------------------

SCENE_SHAPE = (24, 20, 18)
METRICS = {**LINEAR_METRICS, "normalised_product": lambda samples, _: NormalisedProduct(samples)}


def metric_of(name, points, values, volume, backend, mask=None):
    arrays = [None if array is None else backend.upload(array) for array in (points, values, volume, mask)]
    return METRICS[name](Samples(*arrays[:3], backend, arrays[3]), Linear())


def at(metric, matrix):
    """(value, share, slope) at one matrix."""
    return tuple(found[0] for found in metric.values_and_derivatives(matrix[None]))


def value_of(metric, matrix):
    """(value, share) at one matrix."""
    values, shares = metric.values(matrix[None])
    return values[0], shares[0]


def scene(count=3000, shape=SCENE_SHAPE, seed=0):
    """A moving volume, points away from its faces, and the values of a distorted, noisy copy of it there."""
    volume = smooth_volume(shape, seed, sigma=2.5)
    size = np.array(shape)
    points = np.random.default_rng(seed).uniform(0.15, 0.85, (count, 3)) * (size - 1)
    values = map_coordinates(volume, points.T, order=1) ** 2 + 0.02 * np.random.default_rng(1).normal(size=count)
    return points.astype(np.float32), values.astype(np.float32), volume
