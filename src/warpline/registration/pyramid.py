"""Pyramids: coarser grids, and images on them.

The affine stages see each image on a coarser version of its own grid (`build_pyramid`); SyN sees both on one grid, a
coarser version of the fixed one, the moving image through the affine (`resample_on_level`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.masked_average import masked_average, masked_blur
from warpline.images.foreground import level_foreground
from warpline.images.intensity import Normalised
from warpline.metrics.samples import value_range
from warpline.space.grid import Grid, Matrix, Shape, apply_affine

SMALLEST_AXIS = 8
"""No axis is shrunk below this many voxels; one that starts shorter is left alone. Fewer show no shape to align."""

MOST_ACROSS = 72
"""Most voxels along the longest side of the coarsest level: more, and large displacements are out of its reach."""

THICK, MOST_LEFT_OUT = 4.5, 2
"""Ratio of slice thickness to pixel edge from which a level is left out, and how many levels are at most.

Finer levels of thicker slices fit noise: the map bends without a gain in overlap.
"""

LEAST_INSIDE = 0.5
"""Share of a coarse voxel in the mask for the voxel to count: with less, masks grow from level to level."""

LEAST_COVERAGE = 1e-3
"""Share of a Gaussian inside the mask below which the smoothed image fades to 0: there is too little to average."""

SMOOTHED_FROM = 1.2
"""Ratio of the voxels of a level to those of an image above which the image is smoothed before it is resampled.

Below it little aliases, and smoothing would only lose detail."""

Factors = tuple[float, float, float]


def factors_for_spacing(grid: Grid, spacing: float) -> Factors:
    """Shrink factor of each axis that brings its voxels to about `spacing` mm; thick voxels are shrunk less."""
    most = np.maximum(np.array(grid.shape) / SMALLEST_AXIS, 1.0)
    factors = np.clip(spacing / grid.voxel_size, 1.0, most)
    return cast(Factors, tuple(float(factor) for factor in factors))


def with_coarser(factors: tuple[float, ...], across: float) -> tuple[float, ...]:
    """Shrink factors, coarse to fine, preceded by as many coarser levels as an image of `across` voxels needs."""
    while across / factors[0] > MOST_ACROSS:
        factors = (2 * factors[0], *factors)
    return factors


def without_finest(factors: tuple[float, ...], thickness: float) -> tuple[float, ...]:
    """Shrink factors, coarse to fine, without those too fine for slices of `thickness` pixels."""
    remaining = factors
    while len(remaining) > 1 and len(factors) - len(remaining) < MOST_LEFT_OUT and thickness >= THICK * remaining[-1]:
        remaining = remaining[:-1]
    return remaining


def coarse_grid(grid: Grid, factors: Factors) -> Grid:
    """The grid whose voxel i lies at voxel ``factor i + offset`` of `grid`, centred in it.

    ``offset = (n - 1 - factor (m - 1)) / 2`` with m voxels on the coarse axis, as in `Backend.downsample`.
    """
    fine = np.array(grid.shape)
    shape = np.maximum(np.rint(fine / factors).astype(int), 1)
    zoom = np.diag([*factors, 1.0])
    zoom[:3, 3] = (fine - 1 - np.array(factors) * (shape - 1)) / 2
    return Grid(cast(Shape, tuple(int(n) for n in shape)), grid.affine @ zoom)


def coarse_image(volume: Array, grid: Grid, factors: Factors, backend: Backend) -> tuple[Array, Grid]:
    """Smooth and shrink a volume (I, J, K); factors of 1 return it as it is.

    Parameters
    ----------
    volume : (I, J, K) float32
        On `backend`, living on `grid`.
    factors : three floats >= 1
        Fine voxels per coarse voxel along each axis; the Gaussian has a sigma of half a factor.

    Returns
    -------
    volume, grid
        The coarse volume and where it lies.
    """
    if max(factors) == 1.0:
        return volume, grid
    coarse = coarse_grid(grid, factors)
    return backend.downsample(volume, factors, out=backend.empty(coarse.shape)), coarse


# -- each image on its own grid: the affine stages --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """An image at one spacing.

    Parameters
    ----------
    array : (I, J, K) float32
        On the backend.
    grid : Grid
        Where it lies.
    origin : (3,)
        Centre of the first voxel of the image it was made from, in world mm.
    backend : Backend
        Where the arrays are.
    mask : (I, J, K) uint8, optional
        Its mask, on the backend.
    """

    array: Array
    grid: Grid
    origin: NDArray[np.float64]
    backend: Backend
    mask: Array | None = None

    @property
    def spacing(self) -> float:
        """Edge in mm of a cube as large as a voxel; axes of one voxel are left out."""
        sizes = [size for size, n in zip(self.grid.voxel_size, self.grid.shape, strict=True) if n > 1]
        return float(np.prod(sizes) ** (1 / len(sizes))) if sizes else 1.0

    @cached_property
    def inside(self) -> Array:
        """Voxels inside the mask, on the backend; all without one."""
        return self.backend.zeros(self.grid.shape, np.uint8) == 0 if self.mask is None else self.mask > 0

    @cached_property
    def foreground(self) -> Array:
        """Voxels inside the mask that differ from a constant background, see `level_foreground`; on the backend."""
        low, high = value_range(self.array, None if self.mask is None else self.inside)
        return level_foreground(self.array, self.inside, low, high)

    @cached_property
    def centre_of_mass(self) -> NDArray[np.float64]:
        """Centre of the intensity above the lowest one inside the mask, in world mm."""
        volume = self.backend.download(self.array)
        inside = None if self.mask is None else self.backend.download(self.inside)
        lowest = (volume if inside is None else volume[inside]).min()
        weights = volume.astype(np.float64) - lowest
        if inside is not None:
            weights[~inside] = 0.0
        total = weights.sum()
        if total == 0:
            return self.grid.centre
        sides = [
            weights.sum(axis=tuple(np.delete(range(3), axis))) @ np.arange(weights.shape[axis]) for axis in range(3)
        ]
        return apply_affine(self.grid.affine, np.array(sides) / total)

    def centre_and_radius(self) -> tuple[NDArray[np.float64], float]:
        """Centroid of the foreground in world mm, and the root mean square distance of its voxels from there.

        The radius is at least half a voxel.
        """
        return self.centre_and_radius_later()()

    def centre_and_radius_later(self) -> Callable[[], tuple[NDArray[np.float64], float]]:
        """Start the download they need; returns a function that waits for it and computes them."""
        foreground = self.backend.download_later(self.foreground)

        def measure() -> tuple[NDArray[np.float64], float]:
            places = apply_affine(self.grid.affine, np.argwhere(foreground()))
            middle = places.mean(axis=0)
            return middle, max(float(np.sqrt(((places - middle) ** 2).sum(axis=1).mean())), 0.5 * self.spacing)

        return measure


def build_pyramid(image: Normalised, spacings: tuple[float, ...], backend: Backend) -> list[PyramidLevel]:
    """The image at each spacing in mm, coarse to fine; each level is made from the next finer one.

    With a mask, only values inside it are averaged: ``blur(v m) / blur(m)``. Levels of a shared image are cached.
    """
    return backend.cache.get(image, ("levels", spacings), lambda: _levels(image, spacings, backend))


def _levels(image: Normalised, spacings: tuple[float, ...], backend: Backend) -> list[PyramidLevel]:
    volume, grid = image.volume, image.grid
    inside = None if image.mask is None else (image.mask != 0).astype(np.float32)
    if inside is not None:
        volume = volume * inside
    levels = []
    for spacing in reversed(spacings):
        factors = factors_for_spacing(grid, spacing)
        if inside is not None:
            inside, _ = coarse_image(inside, grid, factors, backend)
        volume, grid = coarse_image(volume, grid, factors, backend)
        levels.append(_level(volume, grid, image, inside, backend))
    return levels[::-1]


def _level(volume: Array, grid: Grid, image: Normalised, inside: Array | None, backend: Backend) -> PyramidLevel:
    origin = image.grid.affine[:3, 3]
    if inside is None:
        return PyramidLevel(volume, grid, origin, backend)
    # A mask smaller than a coarse voxel fills none by half; its best voxels count then.
    least = np.minimum(0.5 * inside.max().astype(np.float64), LEAST_INSIDE).astype(np.float32)
    known = inside > least
    averaged = masked_average(known * volume, inside, least)
    return PyramidLevel(averaged, grid, origin, backend, known.astype(np.uint8))


# -- both images on one grid: SyN -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SharedLevel:
    """Grid of a level that two images share, its spacing, and how much they are smoothed for it.

    Parameters
    ----------
    grid : Grid
        A coarser version of the fixed grid.
    spacing : float
        Voxel edge in mm.
    smoothing : float
        Gaussian sigma, in voxels of the level.
    """

    grid: Grid
    spacing: float
    smoothing: float = 0.5

    @classmethod
    def of(cls, fixed: Grid, spacing: float, smoothing: float = 0.5) -> SharedLevel:
        """The level of a spacing in mm of a fixed grid."""
        return cls(coarse_grid(fixed, factors_for_spacing(fixed, spacing)), spacing, smoothing)


def resample_on_level(
    level: SharedLevel,
    volume: Array,
    grid: Grid,
    world: Matrix,
    *,
    mask: Array | None,
    backend: Backend,
    order: int = 3,
) -> Array:
    """A volume on its grid, smoothed (within its mask) and resampled on a level, by cubic splines if not asked else.

    Parameters
    ----------
    volume : (I, J, K) float32
        On `grid`.
    world : (4, 4)
        World of the level to world of `grid`.
    mask : (I, J, K) float32, optional
        Only values where it is not 0 are averaged.
    """
    ratio = np.where(np.array(grid.shape) > 1, level.spacing / grid.voxel_size, 0.0)
    sigma = tuple(float(level.smoothing * r) if r > SMOOTHED_FROM else 0.0 for r in ratio)
    if level.grid == grid and np.array_equal(world, np.eye(4)) and not any(sigma):
        return volume
    if any(sigma):
        width = (sigma[0], sigma[1], sigma[2])
        if mask is None:
            volume = backend.smooth(volume, width)
        else:
            volume = masked_blur(volume, mask, width, least=LEAST_COVERAGE, backend=backend)
    return backend.sample(volume, level.grid.voxel_map_to(grid, world), shape=level.grid.shape, order=order)
