"""Voxel sizes that an image may have where its header is wrong: candidates, and what a map says of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.space.grid import Grid, Matrix

Factors = tuple[float, float, float]
"""By what the voxel sizes of a header are multiplied."""

UNCHANGED: Factors = (1.0, 1.0, 1.0)

UNITS = {
    1000.0: "as if metres were taken for mm",
    25.4: "as if inches were taken for mm",
    10.0: "as if cm were taken for mm",
    0.1: "ten times too large",
    0.001: "as if micrometres were taken for mm",
}
"""Factor by which true voxel sizes are those of the header, and the mistake that leaves it behind."""
UNLIKE = 1.7
"""Ratio of the sizes of two objects from which other voxel sizes are tried.

A head is 1.3 times as large as its brain; lower, more is computed, higher, factors of 2 are not found."""
MOST_STRETCH = 1.45
"""Stretch of the map along a voxel axis up to which voxel sizes are not doubted: brains differ by up to 1.25."""


def extent(image: Image) -> NDArray[np.float64]:
    """Standard deviation (3,) of the places of the foreground along each voxel axis, in voxels, at least 0.3."""
    mask = foreground_mask(image)
    deviations = []
    for axis in range(3):
        weights = mask.sum(axis=tuple(np.delete(range(3), axis)), dtype=np.float64)
        places = np.arange(len(weights)) - np.average(np.arange(len(weights)), weights=weights)
        deviations.append(float(np.sqrt(np.average(places**2, weights=weights))))
    return np.maximum(deviations, 0.3)


def candidates(reference: Image, image: Image) -> tuple[Factors, ...]:
    """Factors for the voxel sizes of an image under which its object is about as large as that of the reference.

    The first is 1: the header as it is. Others follow only where the objects differ by more than `UNLIKE`.
    """
    thick = np.array(image.grid.shape) > 1
    along = _axes_of(image.grid, reference.grid)
    ratios = (extent(reference) * reference.grid.voxel_size)[along] / (extent(image) * image.grid.voxel_size)
    ratios = np.where(thick, ratios, 1.0)
    ratio = float(np.prod(ratios) ** (1 / max(thick.sum(), 1)))
    found: dict[Factors, None] = {UNCHANGED: None}
    if not 1 / UNLIKE < ratio < UNLIKE:
        found[_everywhere(_unit_near(ratio) or ratio)] = None
    if ratios.max() / ratios.min() > UNLIKE and is_lost(image.grid):
        found[(float(ratios[0]), float(ratios[1]), float(ratios[2]))] = None
    return tuple(found)


def is_lost(grid: Grid) -> bool:
    """Whether all voxel sizes are alike to the last digit, as where a header holds none of its own."""
    sizes = grid.voxel_size
    return bool(np.ptp(sizes) <= 1e-5 * sizes.max())


def stretched(grid: Grid, factors: Factors) -> Grid:
    """A grid with its voxel sizes multiplied, about its middle."""
    affine = grid.affine.copy()
    affine[:3, :3] *= factors
    affine[:3, 3] = grid.centre - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return Grid(grid.shape, affine, grid.flat)


def measured_factors(grid: Grid, to_header: Matrix) -> NDArray[np.float64]:
    """What a map (4, 4), reference world to the world of a header, says of the voxel sizes of the header: factors (3,).

    They are 1 along axes of one voxel.
    """
    lengths = np.linalg.norm(np.linalg.solve(to_header[:3, :3], grid.affine[:3, :3]), axis=0)
    return np.where(np.array(grid.shape) > 1, lengths / grid.voxel_size, 1.0)


def proposed_factors(measured: NDArray[np.float64], swapped: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors to propose (3,): 1, those of voxel sizes that were swapped with their axes, a unit's, or as measured.

    Parameters
    ----------
    measured : (3,)
        See `measured_factors`.
    swapped : (3,)
        Factors that exchange voxel sizes as the axes are exchanged.
    """
    if _all_near(measured, np.ones(3)):
        return _nearer(measured, np.ones(3), swapped)
    if _all_near(measured, swapped):
        return swapped
    unit = _unit_near(float(np.prod(measured) ** (1 / 3)))
    if unit is not None and _all_near(measured, np.full(3, unit)):
        return np.full(3, unit)
    return measured


def _nearer(measured: NDArray[np.float64], *options: NDArray[np.float64]) -> NDArray[np.float64]:
    return min(options, key=lambda one: float(np.abs(np.log(measured / one)).max()))


def _all_near(measured: NDArray[np.float64], factors: NDArray[np.float64]) -> bool:
    return bool(np.abs(np.log(measured / factors)).max() <= np.log(MOST_STRETCH))


def _unit_near(ratio: float) -> float | None:
    """The factor of `UNITS` that a ratio is near to."""
    nearest = min(UNITS, key=lambda unit: abs(np.log(ratio / unit)))
    return nearest if abs(np.log(ratio / nearest)) <= np.log(UNLIKE) else None


def _everywhere(factor: float) -> Factors:
    return factor, factor, factor


def _axes_of(grid: Grid, reference: Grid) -> NDArray[np.int64]:
    """For each axis of a grid, the axis of the reference that runs along it most."""
    directions = np.linalg.solve(reference.affine[:3, :3] / reference.voxel_size, grid.affine[:3, :3] / grid.voxel_size)
    return np.asarray(np.abs(directions).argmax(axis=0))
