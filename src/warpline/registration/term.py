"""One channel at a level: features of both images, warped to the middle space, and the forces of a metric on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from warpline.backends import Array, Backend
from warpline.metrics import DeformableMetric
from warpline.registration.cropping import Channel
from warpline.registration.pyramid import SharedLevel, resample_on_level
from warpline.space.grid import Grid, Matrix

LEAST_MASK = 0.998
"""Least interpolated mask value at which a voxel enters the metric: lower, values from outside are mixed in."""


LEAST_SHARE, LEAST_VOXELS = 1e-3, 27.0
"""Of a level, up to which hardly anything counts: one of a thousand voxels; those around one voxel."""


@dataclass(frozen=True)
class Counted:
    """How much of a level masks and weights leave.

    Parameters
    ----------
    total : float
        What the voxels of the level count, each from 0 to 1, added up.
    share : float
        The same on average.
    voxels : float
        How many voxels that count alike say as much, ``(sum of w)^2 / sum of w^2``.
    """

    total: float
    share: float
    voxels: float

    @property
    def is_nothing(self) -> bool:
        """Whether less than half a voxel counts: edges that touch by interpolation alone."""
        return self.total < 0.5

    @property
    def is_scarce(self) -> bool:
        """Whether hardly anything is left to compare."""
        return self.share < LEAST_SHARE or self.voxels < LEAST_VOXELS


@dataclass(frozen=True, eq=False)
class SideOnLevel:
    """An image of a channel, and how it comes to the grid of a level; a `warpline.metrics.LevelImage`."""

    volume: Array
    grid: Grid
    world: Matrix
    mask: Array | None
    level: SharedLevel
    backend: Backend

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid of the level."""
        return self.level.grid.shape

    def resampled(self, volume: Array, order: int = 3) -> Array:
        """A volume on the grid of the image, on the level."""
        where = self.level, volume, self.grid, self.world
        return resample_on_level(*where, mask=self.mask, backend=self.backend, order=order)


class Term:
    """One channel of a level: features of both images, and the forces of a metric on them.

    Parameters
    ----------
    channel : Channel
        The images.
    level : SharedLevel
        Where they are compared.
    affine : (4, 4)
        Fixed world to moving world.
    metric : DeformableMetric
        What compares them.
    backend : Backend
        Where everything is computed.
    learnt : (2, I, J, K), optional
        Weights of both images on the grid of the level, beside those of the channel.
    is_mean : bool
        Whether the value of the metric is a mean over voxels, of which only those that count are meant.
    """

    def __init__(
        self,
        channel: Channel,
        level: SharedLevel,
        affine: Matrix,
        metric: DeformableMetric,
        backend: Backend,
        *,
        learnt: Array | None = None,
        is_mean: bool = True,
    ) -> None:
        self.metric, self.backend, self._is_mean = metric, backend, is_mean
        sides = channel.sides(affine)
        self.weight = channel.weight
        self.is_weighted = any(own is not None for own, _ in channel.weights(affine))
        fixed, moving = (SideOnLevel(*side, level, backend) for side in sides)
        self.features: Array = metric.features((fixed, moving), backend)
        self.masks = [
            None if mask is None else backend.sample(mask, level.grid.voxel_map_to(grid, world), shape=level.grid.shape)
            for _, grid, world, mask in sides
        ]
        self.weights = [
            None if own is None else resample_on_level(level, *own, world, mask=None, backend=backend, order=1)
            for own, world in channel.weights(affine)
        ]
        if learnt is not None:
            pairs = zip(learnt, self.weights, strict=True)
            self.weights = [one if own is None else one * own for one, own in pairs]
        self.is_masked = any(volume is not None for volume in (*self.masks, *self.weights))
        self._counted = backend.empty(level.grid.shape) if self.is_masked else None
        self._warped = backend.empty(level.grid.shape) if self.is_masked else None
        self.value = backend.zeros((1,), np.float64)

    def warp(self, half_maps: Array, warped: Array) -> None:
        """Features of both images in the middle space."""
        if self.features.ndim == 5:
            self.backend.descriptors.warp(self.features, half_maps, out=warped)
        else:
            self.backend.sample(self.features, field=half_maps, out=warped)

    def compute_forces(self, half_maps: Array, warped: Array, forces: Array) -> None:
        """Forces (2, 3, I, J, K) on both images under the half-maps, and the value; works in `warped`."""
        self.warp(half_maps, warped)
        if self._counted is not None:
            self._count(half_maps, self._counted)
        self.metric.forces(warped, forces, self.value, mask=self._counted, backend=self.backend)

    def energy(self) -> Array:
        """The value of the last forces, per voxel that counted: with masks, fewer do as their edges move."""
        if self._counted is None or not self._is_mean:
            return self.value
        return self.value / np.maximum(self._counted.mean(dtype=np.float64), 1e-12)

    def counted_later(self, half_maps: Array) -> Callable[[], Counted | None]:
        """A function that waits for how much counts under the half-maps; None where everything does."""
        if self._counted is None:
            return lambda: None
        self._count(half_maps, self._counted)
        found = self.backend.download_later(self.backend.sums(self._counted, out=self.backend.zeros((3,), np.float64)))

        def finish() -> Counted:
            number, total, squares = found().tolist()
            return Counted(total, total / number, total**2 / squares if squares else 0.0)

        return finish

    def _count(self, half_maps: Array, counted: Array) -> None:
        """How much voxels count in the middle space: not at all where values from outside a mask are mixed in."""
        begun = self._multiply(self.masks, half_maps, counted, begun=False)
        if begun:
            np.greater(counted, np.float32(LEAST_MASK), out=counted)
        self._multiply(self.weights, half_maps, counted, begun=begun)

    def _multiply(self, volumes: list[Array | None], half_maps: Array, counted: Array, *, begun: bool) -> bool:
        """The product with volumes of both sides under the half-maps; whether there is any, or one was begun before."""
        for volume, half in zip(volumes, half_maps, strict=True):
            if volume is not None and not begun:
                self.backend.sample(volume, field=half, out=counted)
                begun = True
            elif volume is not None:
                counted *= self.backend.sample(volume, field=half, out=self._warped)
        return begun
