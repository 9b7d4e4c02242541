"""Agreement of two images inside the objects they show: local correlation that outlines do not enter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.images.intensity import Normalised
from warpline.registration.pyramid import PyramidLevel, build_pyramid
from warpline.space import fields
from warpline.space.grid import Grid, Matrix

VOXELS_ACROSS = 50
"""Voxels across the object at which images are compared: 3 mm for a brain. More see noise, fewer no structure."""
WINDOW_SPACING = 4
"""Distance of the windows of local correlation, in these voxels; their standard deviation is half of it.

Closer windows repeat each other, wider ones average over structure."""
VARIANCE_FLOOR = 0.1
"""Share of the standard deviation of the whole object whose square is added to local variances.

Without it, noise in flat parts counts like structure; a large one lowers every correlation."""
SHIFT = 0.5
"""Length of the shifts that are wrong on purpose, as a share of the object's root mean square radius.

Shorter ones still correlate with the right map; longer ones leave little overlap to compare."""
LEAST_VOXELS = 200
"""Voxels inside an object below which it is too thin to compare, and the image counts as a whole."""
LEAST_KNOWN = 0.99
"""Share of a value sampled between voxels that must come from known ones; lower, the outline of the object enters."""
FLAT = 1e-3
"""Deviation of the inside, as a share of its mean, below which it has no structure: masks and label images."""
BATCH_VOXELS = 2**22
"""Most voxels that are compared side by side: some 20 maps of a brain. More take memory, fewer more launches."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of two images under one map.

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

    Examples
    --------
    >>> from warpline.registration.judgement import Agreement
    >>> Agreement(correlation=0.4, voxels=12000, overlap=0.95, coverage=1.0).correlation
    0.4
    """

    correlation: float
    voxels: int
    overlap: float
    coverage: float


class ObjectComparison:
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

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Image
    >>> from warpline.backends import select
    >>> from warpline.images.intensity import normalise
    >>> from warpline.registration.judgement import ObjectComparison
    >>> backend, (x, y) = select("numpy"), np.indices((48, 48)) - 23.5
    >>> texture = np.random.default_rng(0).normal(5, 1, (16, 16)).repeat(3, axis=0).repeat(3, axis=1)
    >>> disc = np.where(x**2 + 2 * y**2 < 400, texture, 0)
    >>> images = [normalise(Image.from_array(one), backend) for one in (disc, np.roll(disc, 3, axis=0))]
    >>> comparison = ObjectComparison(*images, backend)
    >>> shift = Affine([[1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> comparison.at(shift.matrix).overlap
    1.0
    >>> comparison.correlation(shift.matrix) > comparison.correlation(np.eye(4))
    True
    """

    def __init__(self, fixed: Normalised, moving: Normalised, backend: Backend) -> None:
        self._backend = backend
        inside = [_level(image, _object_mask(image), backend) for image in (fixed, moving)]
        middle = inside[0].centre_and_radius_later()
        self.has_structure = _have_structure(inside, backend)
        self._inside = inside
        whole = () if self.has_structure else [_level(image, image.mask, backend) for image in (fixed, moving)]
        self._fixed, self._moving = whole or inside
        self._centred = [_Centred.of(level, backend) for level in (self._fixed, self._moving)]
        self.centre, self.radius = middle()

    @property
    def grid(self) -> Grid:
        """Where the images are compared."""
        return self._fixed.grid

    def at(self, matrix: Matrix) -> Agreement:
        """Agreement of the images under a map (4, 4), fixed world to moving world."""
        measured = self._backend.empty((7,), np.float64)
        measured[:3], measured[3:] = self._totals([matrix])[0], self._counts(matrix)
        totals, counts = np.split(self._backend.download(measured), [3])
        ((correlation, voxels),) = _means(totals[None])
        overlap, coverage = counts[2] / max(counts[:2].min(), 1.0), counts[0] / max(counts[3], 1.0)
        return Agreement(float(correlation), int(voxels), float(overlap), float(coverage))

    def correlation(self, matrix: Matrix, field: Array | None = None) -> float:
        """The mean squared local correlation alone.

        Parameters
        ----------
        matrix : (4, 4)
            Fixed world to moving world.
        field : (3, I, J, K), optional
            Displacement in voxels of `grid`, applied before the matrix; see `coarse_field`.
        """
        return float(self._measure([matrix], field)[0, 0])

    def correlations(self, matrices: Iterable[Matrix]) -> NDArray[np.float64]:
        """The same (N,) under each of some maps, with one host synchronisation."""
        return self._measure(list(matrices))[:, 0]

    def gain(self, first: Matrix, second: Matrix) -> tuple[float, float]:
        """By how much the correlation under one map exceeds that under another, and the standard error of that.

        Windows count where both maps have known voxels, as independent ones; neither is known where none does.
        """
        squared, weights, _ = (self._backend.download(part) for part in self._local([first, second]))
        weight = np.minimum(*weights.astype(np.float64))
        total = weight.sum()
        if total == 0:
            return math.nan, math.nan
        correlation = squared / np.maximum(weights, 1e-6)
        gains = correlation[0] - correlation[1]
        mean = float((gains * weight).sum() / total)
        variance = (np.square(gains - mean) * weight).sum() / total
        return mean, float(np.sqrt(variance * np.square(weight).sum()) / total)

    def before_and_chance(self, matrix: Matrix, least: int) -> tuple[float, float | None]:
        """The correlation under the headers alone, and the largest one under maps that are wrong on purpose.

        Those are the map after shifts of half a radius. Shifts that leave fewer than `least` shared voxels are ignored;
        None where all of them do.
        """
        (before, _), *shifted = self._measure([np.eye(4), *(matrix @ shift for shift in self._shifts)])
        return float(before), max((float(value) for value, voxels in shifted if voxels >= least), default=None)

    def coarse_field(self, field: Array, grid: Grid) -> Array:
        """A displacement in voxels of `grid`, a grid along the same axes, in voxels of the level."""
        return fields.move_to_grid(field, grid, self.grid, self._backend)

    @cached_property
    def _shifts(self) -> NDArray[np.float64]:
        """Translations (N, 4, 4) of world space along the axes and diagonals of the grid."""
        axes = self.grid.affine[:3, :3] / self.grid.voxel_size
        steps = np.array(list(product(*((-1, 0, 1) if n > 1 else (0,) for n in self.grid.shape))), float)
        axes_used = np.abs(steps).sum(axis=1)
        steps = steps[(axes_used == 1) | (axes_used == max(axes_used.max(), 1))]
        steps /= np.linalg.norm(steps, axis=1)[:, None]
        translations = np.tile(np.eye(4), (len(steps), 1, 1))
        translations[:, :3, 3] = SHIFT * self.radius * steps @ axes.T
        return translations

    def _warp(
        self, level: PyramidLevel, volume: Array, matrices: Sequence[Matrix], field: Array | None = None
    ) -> Array:
        """A volume of the moving image under each of some maps, side by side: (N, I, J, K)."""
        warped = self._backend.empty((len(matrices), *self.grid.shape))
        for matrix, one in zip(matrices, warped, strict=True):
            self._backend.sample(volume, self.grid.voxel_map_to(level.grid, matrix), field=field, out=one)
        return warped

    def _totals(self, matrices: Sequence[Matrix], field: Array | None = None) -> Array:
        """Sums (N, 3) on the backend over known voxels: squared local correlation by weight, the weight, and voxels."""
        parts = self._local(matrices, field)
        sums = [one.sum(dtype=np.float64) for parts_of_one in zip(*parts, strict=True) for one in parts_of_one]
        return np.stack(sums).reshape(-1, 3)

    def _local(self, matrices: Sequence[Matrix], field: Array | None = None) -> tuple[Array, Array, Array]:
        """Squared local correlation by weight and the weight, of windows, and known voxels, each (N, I, J, K)."""
        fixed, moving = self._centred
        known = self._warp(self._moving, moving.known, matrices, field) > LEAST_KNOWN
        mask = (known & self._fixed.inside).astype(np.float32)
        weights = self._windows(mask)
        images = fixed.array * mask, self._warp(self._moving, moving.array, matrices, field) * mask
        divisor = np.maximum(weights, 1e-6)
        means = [self._windows(image) / divisor for image in images]
        variances = [
            np.maximum(self._windows(image * image) / divisor - mean * mean, 0) + side.variance_floor
            for image, mean, side in zip(images, means, self._centred, strict=True)
        ]
        covariance = self._windows(images[0] * images[1]) / divisor - means[0] * means[1]
        squared = covariance * covariance / (variances[0] * variances[1]) * weights
        return squared, weights, mask

    def _measure(self, matrices: Sequence[Matrix], field: Array | None = None) -> NDArray[np.float64]:
        """Mean squared local correlation and number of voxels (N, 2) under each map, with one host synchronisation."""
        totals = self._backend.empty((len(matrices), 3), np.float64)
        each = max(1, BATCH_VOXELS // math.prod(self.grid.shape))
        for first in range(0, len(matrices), each):
            totals[first : first + each] = self._totals(matrices[first : first + each], field)
        return _means(self._backend.download(totals))

    def _windows(self, volumes: Array) -> Array:
        """Gaussian means around every fourth voxel of every axis, of volumes side by side."""
        many, *shape = volumes.shape
        i, j, k = (min(WINDOW_SPACING, n) for n in shape)
        means = self._backend.empty((many, *(-(-n // factor) for n, factor in zip(shape, (i, j, k), strict=True))))
        return self._backend.downsample(volumes, (i, j, k), out=means)

    def _counts(self, matrix: Matrix) -> Array:
        """Voxels (4,), on the backend: of either object where both images lie, of both, of the fixed one."""
        fixed, moving = self._inside
        ones = self._backend.zeros(moving.grid.shape) + np.float32(1)
        in_view, moving_object = (self._warp(moving, volume, [matrix])[0] > 0.5 for volume in (ones, _known(moving)))
        fixed_object = fixed.inside & in_view
        parts = fixed_object, moving_object, fixed_object & moving_object, fixed.inside
        return np.stack([part.sum(dtype=np.float64) for part in parts])


@dataclass(frozen=True, eq=False)
class _Centred:
    """Values of a level less their mean, where they are known, and the variance added to that of windows."""

    array: Array
    known: Array
    variance_floor: Array

    @classmethod
    def of(cls, level: PyramidLevel, backend: Backend) -> _Centred:
        known, sums, of_centred = _known(level), *(backend.empty((3,), np.float64) for _ in range(2))
        backend.sums(level.array, mask=level.inside.astype(np.uint8), out=sums)
        count = np.maximum(sums[0], 1.0)
        array = (level.array - (sums[1] / count).astype(np.float32)) * known
        variance = backend.sums(array, out=of_centred)[2] / count
        return cls(array, known, np.maximum(VARIANCE_FLOOR**2 * variance, 1e-20).astype(np.float32))


def _means(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean squared local correlation and number of voxels (N, 2), of totals (N, 3)."""
    squared, share, voxels = totals.T
    return np.stack([squared / np.maximum(share, 1e-6), voxels], axis=1)


def _object_mask(image: Normalised) -> Array:
    """The object of an image, uint8: what is not background, within the mask."""
    shown = image.object_mask if image.has_background else image.mask
    return shown if image.mask is None or shown is image.mask else shown * (image.mask != 0)


def _level(image: Normalised, mask: Array | None, backend: Backend) -> PyramidLevel:
    """The image in voxels of which so many lie across its object, averaged within the mask."""
    counts = np.subtract(image.stop, image.start)
    edges = (image.grid.voxel_size * counts)[counts > 1]
    spacing = float(np.prod(edges) ** (1 / len(edges))) / VOXELS_ACROSS if len(edges) else 1.0
    return build_pyramid(replace(image, mask=mask), (spacing,), backend)[0]


def _known(level: PyramidLevel) -> Array:
    """1 where a level has values, 0 elsewhere, float32."""
    return level.inside.astype(np.float32)


def _have_structure(levels: list[PyramidLevel], backend: Backend) -> bool:
    """Whether enough voxels lie inside the object of every image, and differ."""
    sums = backend.empty((len(levels), 3), np.float64)
    for row, level in enumerate(levels):
        backend.sums(level.array, mask=level.inside.astype(np.uint8), out=sums[row])
    return all(_has_structure(*one) for one in backend.download(sums).tolist())


def _has_structure(count: float, total: float, squares: float) -> bool:
    if count < LEAST_VOXELS:
        return False
    mean = total / count
    return math.sqrt(max(squares / count - mean**2, 0.0)) > FLAT * abs(mean)
