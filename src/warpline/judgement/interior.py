"""What the insides of two images say about a map between them, apart from their outlines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from warpline import fields
from warpline.backends import Array, Backend
from warpline.geometry import Grid, Matrix
from warpline.intensity import Normalised
from warpline.solvers.comparison import Level, build_levels, centre_and_radius

ACROSS = 50
"""Voxels across the object at which images are compared: a brain is looked at in voxels of about 3 mm."""
WINDOW = 4
"""Distance of the windows of local correlation, in these voxels; their standard deviation is half of it."""
FLOOR = 0.1
"""Share of the deviation of the whole object that is added to the local one, so that flat parts stay flat."""
SHIFT = 0.5
"""Length of the shifts that are wrong on purpose, as a share of the object's root mean square radius."""
FEWEST = 200
"""Shared voxels below which the inside of an object is too thin to say anything."""
FLAT = 1e-3
"""Deviation of the inside, as a share of its mean, below which it has no structure: masks and label images."""


@dataclass(frozen=True)
class Agreement:
    """How two images agree under one map.

    Parameters
    ----------
    correlation : float
        Mean squared local correlation where both show their object, 0 to 1.
    voxels : int
        How many voxels that is of.
    overlap : float
        Share of the smaller object that the larger one covers, within the part of space that both images show.
    coverage : float
        Share of the fixed object that the moving image shows.
    """

    correlation: float
    voxels: int
    overlap: float
    coverage: float


class Interior:
    """Two images on a coarse level, compared inside the objects they show.

    A noise image cut out in the shape of a brain matches the brain's outline under the right map and under no other, so
    outlines must not count: both images are averaged over the voxels of their object alone, and correlated in windows
    that see nothing else. Where there is no inside, as in masks, images count as a whole, outlines included.

    Parameters
    ----------
    fixed, moving : Normalised
        The images.
    backend : Backend
        Where they are compared.
    """

    def __init__(self, fixed: Normalised, moving: Normalised, backend: Backend) -> None:
        self._backend = backend
        inside = [_level(image, _object(image), backend) for image in (fixed, moving)]
        self.has_structure = all(_has_structure(level, backend) for level in inside)
        self._inside = inside
        whole = () if self.has_structure else [_level(image, image.mask, backend) for image in (fixed, moving)]
        self._fixed, self._moving = whole or inside
        self.centre, self.radius = centre_and_radius(inside[0])

    @property
    def grid(self) -> Grid:
        """Where the images are compared."""
        return self._fixed.grid

    def at(self, matrix: Matrix) -> Agreement:
        """How the images agree under a map (4, 4), fixed world to moving world."""
        correlation, voxels = self._correlation(matrix, None)
        return Agreement(correlation, voxels, *self._overlap(matrix))

    def correlation(self, matrix: Matrix, field: Array | None = None) -> float:
        """The mean squared local correlation alone, which most comparisons need no more than.

        Parameters
        ----------
        matrix : (4, 4)
            Fixed world to moving world.
        field : (3, I, J, K), optional
            Displacement in voxels of `grid`, applied before the matrix; see `coarse_field`.
        """
        return self._correlation(matrix, field)[0]

    def by_chance(self, matrix: Matrix, least: int) -> float | None:
        """The largest correlation under the map after shifts of half a radius, which cannot be right.

        Shifts that leave fewer than `least` shared voxels say nothing; None where all of them do.
        """
        found = []
        for shift in self._shifts:
            moved = np.eye(4)
            moved[:3, 3] = shift
            value, voxels = self._correlation(matrix @ moved, None)
            if voxels >= least:
                found.append(value)
        return max(found, default=None)

    def coarse_field(self, field: Array, grid: Grid) -> Array:
        """A displacement in voxels of `grid`, a grid along the same axes, in voxels of the level."""
        return fields.move_to_grid(field, grid, self.grid, self._backend)

    @cached_property
    def _shifts(self) -> NDArray[np.float64]:
        """Steps (N, 3) in world mm along the axes and diagonals of the grid."""
        axes = self.grid.affine[:3, :3] / self.grid.voxel_size
        steps = np.array(list(product(*((-1, 0, 1) if n > 1 else (0,) for n in self.grid.shape))), float)
        taken = np.abs(steps).sum(axis=1)
        steps = steps[(taken == 1) | (taken == max(taken.max(), 1))]
        steps /= np.linalg.norm(steps, axis=1)[:, None]
        return np.asarray(SHIFT * self.radius * steps @ axes.T)

    def _warped(self, level: Level, volume: Array, matrix: Matrix, field: Array | None = None) -> Array:
        to_moving = self.grid.voxel_map_to(level.grid, matrix)
        return self._backend.sample(volume, to_moving, field=field, shape=self.grid.shape)

    def _correlation(self, matrix: Matrix, field: Array | None) -> tuple[float, int]:
        """Mean squared local correlation over the voxels that both images know, and their number."""
        known = self._warped(self._moving, _known(self._moving), matrix, field) > 0.99
        mask = (known & self._fixed.inside).astype(np.float32)
        count = float(self._backend.sums(mask)[1])
        if count < 1:
            return 0.0, 0
        share = self._windows(mask)
        first = self._centred(self._fixed.array, mask, count)
        second = self._centred(self._warped(self._moving, self._moving.array, matrix, field), mask, count)
        means = [self._windows(image) / np.maximum(share, 1e-6) for image in (first, second)]
        spreads = [self._spread(image, mean, share, count) for image, mean in zip((first, second), means, strict=True)]
        together = self._windows(first * second) / np.maximum(share, 1e-6) - means[0] * means[1]
        squared = together * together / (spreads[0] * spreads[1]) * share
        return float(self._backend.sums(squared)[1]) / float(self._backend.sums(share)[1]), int(count)

    def _centred(self, image: Array, mask: Array, count: float) -> Array:
        """The image less its mean over the mask, 0 outside."""
        mean = float(self._backend.sums(image * mask)[1]) / count
        return (image - np.float32(mean)) * mask

    def _spread(self, image: Array, mean: Array, share: Array, count: float) -> Array:
        """Variance in every window, and the floor."""
        floor = FLOOR**2 * float(self._backend.sums(image)[2]) / count
        spread = self._windows(image * image) / np.maximum(share, 1e-6) - mean * mean
        return np.maximum(spread, 0) + np.float32(max(floor, 1e-20))

    def _windows(self, volume: Array) -> Array:
        """Gaussian means around every fourth voxel of every axis."""
        factors = [min(WINDOW, n) for n in volume.shape]
        means = self._backend.empty(tuple(-(-n // factor) for n, factor in zip(volume.shape, factors, strict=True)))
        return self._backend.downsample(volume, (factors[0], factors[1], factors[2]), out=means)

    def _overlap(self, matrix: Matrix) -> tuple[float, float]:
        """Share of the smaller object that the other covers, of what both images show; see `Agreement`."""
        fixed, moving = self._inside
        ones = self._backend.zeros(moving.grid.shape) + np.float32(1)
        shown = self._warped(moving, ones, matrix) > 0.5
        first, second = fixed.inside & shown, self._warped(moving, _known(moving), matrix) > 0.5
        sizes = [float(self._backend.sums(part.astype(np.float32))[1]) for part in (first, second, first & second)]
        whole = float(self._backend.sums(fixed.inside.astype(np.float32))[1])
        return sizes[2] / max(min(sizes[0], sizes[1]), 1.0), sizes[0] / max(whole, 1.0)


def _object(image: Normalised) -> Array:
    """Where an image shows something, uint8: what is not background, within the mask."""
    shown = (image.volume != 0).astype(np.uint8) if image.has_background else image.mask
    return shown if image.mask is None or shown is image.mask else shown * (image.mask != 0)


def _level(image: Normalised, mask: Array | None, backend: Backend) -> Level:
    """The image in voxels of which so many lie across its object, averaged within the mask."""
    counts = np.subtract(image.stop, image.start)
    edges = (image.grid.voxel_size * counts)[counts > 1]
    spacing = float(np.prod(edges) ** (1 / len(edges))) / ACROSS if len(edges) else 1.0
    return build_levels(replace(image, mask=mask), (spacing,), backend)[0]


def _known(level: Level) -> Array:
    """1 where a level has values, 0 elsewhere, float32."""
    return level.inside.astype(np.float32)


def _has_structure(level: Level, backend: Backend) -> bool:
    """Whether enough voxels lie inside the object, and differ."""
    count, total, squares = backend.sums(level.array, mask=level.inside.astype(np.uint8))
    if count < FEWEST:
        return False
    mean = total / count
    return bool(np.sqrt(max(squares / count - mean**2, 0.0)) > FLAT * abs(mean))
