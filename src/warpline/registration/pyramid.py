"""Coarser versions of volumes and grids."""

from __future__ import annotations

from typing import cast

import numpy as np

from warpline.backends import Array, Backend
from warpline.space.grid import Grid, Shape

SMALLEST_AXIS = 8
"""No axis is shrunk below this many voxels; one that starts shorter is left alone."""

MOST_ACROSS = 72
"""Voxels along the longest side that the coarsest level of a pyramid may have, so that it has about 40 and sees as far
as on a brain of 1 mm, whatever the voxels are."""

THICK, MOST_LEFT_OUT = 4.5, 2
"""Slices so many times as thick as the pixels of a level are long give it nothing to follow: it fits noise, and the map
bends without a gain in overlap. It is left out; no more than so many are, for stacks of sections far apart."""

Factors = tuple[float, float, float]


def factors_for_spacing(grid: Grid, spacing: float) -> Factors:
    """Shrink factor of each axis that brings its voxels to about `spacing` mm; thick voxels are shrunk less."""
    most = np.maximum(np.array(grid.shape) / SMALLEST_AXIS, 1.0)
    factors = np.clip(spacing / grid.voxel_size, 1.0, most)
    return cast(Factors, tuple(float(factor) for factor in factors))


def with_coarser(factors: tuple[float, ...], across: float) -> tuple[float, ...]:
    """Shrink factors, coarse to fine, after as many larger ones as an image of `across` voxels needs."""
    while across / factors[0] > MOST_ACROSS:
        factors = (2 * factors[0], *factors)
    return factors


def without_finest(factors: tuple[float, ...], thickness: float) -> tuple[float, ...]:
    """Shrink factors, coarse to fine, without those too fine for slices of a thickness, in pixels of the image."""
    kept = factors
    while len(kept) > 1 and len(factors) - len(kept) < MOST_LEFT_OUT and thickness >= THICK * kept[-1]:
        kept = kept[:-1]
    return kept


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
