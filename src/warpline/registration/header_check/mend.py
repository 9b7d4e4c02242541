"""The affine that an image would need, of what the best map to a reference says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from warpline.registration.header_check.search import Hypothesis
from warpline.registration.header_check.spacings import measured_factors, proposed_factors
from warpline.space.grid import Grid, Matrix, apply_affine

FAR = 2.0
"""Distance of two objects by their headers from which an origin is far off, in root mean square radii of the object.

Brains and heads of scanners and templates lie within 1 of each other; beyond 2 brains hardly overlap."""


def factors_of(hypothesis: Hypothesis, header: Grid) -> NDArray[np.float64]:
    """Factors (3,) by which the voxel sizes of a header would have to be multiplied; 1 where they may be right."""
    exchanged = np.abs(hypothesis.orientation).T @ header.voxel_size / header.voxel_size
    return proposed_factors(measured_factors(header, hypothesis.to_header), exchanged)


def mended_grid(hypothesis: Hypothesis, header: Grid, middle: NDArray[np.float64], radius: float) -> tuple[Grid, float]:
    """The grid of an image with its orientation, voxel sizes and origin mended, but for the pose of the object.

    Parameters
    ----------
    hypothesis : Hypothesis
        The best map.
    header : Grid
        The grid as the header has it.
    middle : (3,)
        Centre of the object of the reference, in its world mm.
    radius : float
        Root mean square radius of that object, in mm.

    Returns
    -------
    grid, distance
        The grid, and how far off the origin was: the distance of the objects in mm, 0 where it is not far.
    """
    target = apply_affine(header.inverse_affine, apply_affine(hypothesis.to_header, middle))
    grids = list(_readings(hypothesis, header))
    distances = [distance_by(grid, hypothesis, header, middle) for grid in grids]
    near = [number for number, distance in enumerate(distances) if distance <= FAR * radius]
    if near:
        return grids[near[0]], 0.0
    nearest = int(np.argmin(distances))
    affine = grids[nearest].affine.copy()
    affine[:3, 3] += middle - apply_affine(affine, target)
    return Grid(header.shape, affine, header.flat), distances[nearest]


def distance_by(grid: Grid, hypothesis: Hypothesis, header: Grid, middle: NDArray[np.float64]) -> float:
    """Distance in mm of the middle of the object (3,) of the reference from where a grid of the image places it."""
    target = apply_affine(header.inverse_affine, apply_affine(hypothesis.to_header, middle))
    return float(np.linalg.norm(apply_affine(grid.affine, target) - middle))


def _readings(hypothesis: Hypothesis, header: Grid) -> Iterator[Grid]:
    """The header with other axes and voxel sizes: its origin scaled too, its first voxel kept, or its middle."""
    factors = factors_of(hypothesis, header)
    sizes, orientation = header.voxel_size, hypothesis.orientation
    if (factors == 1).all() and (orientation == np.eye(3)).all():
        yield header.bare
        return
    linear = header.affine[:3, :3] / sizes @ orientation * (sizes * factors)
    middle = linear @ ((np.array(header.shape) - 1) / 2)
    origin, scale = header.affine[:3, 3], float(np.prod(factors) ** (1 / 3))
    unturned = scale * origin if (orientation >= 0).all() else scale * header.centre - middle
    for start in (unturned, origin, header.centre - middle):
        yield Grid(header.shape, _affine(linear, start), header.flat and abs(orientation[2, 2]) == 1)


def _affine(linear: Matrix, origin: NDArray[np.float64]) -> Matrix:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear, origin
    return affine
