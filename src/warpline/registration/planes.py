"""The planes of 2-D images, whose positions along the third axis do not count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.space import Affine, Chain, Transform
from warpline.space.grid import Grid, lies_in_plane

Points = NDArray[np.float64]


def in_planes_of(fixed: Grid, moving: Grid, sides: tuple[Points, Points]) -> tuple[Points, Points]:
    """Points of a 2-D fixed image and of a moving one, each at the height of its own image; of others, themselves.

    Parameters
    ----------
    fixed, moving : Grid
        Of the images.
    sides : ((N, 3), (M, 3))
        World, mm, fixed ones first.
    """
    if not fixed.flat:
        return sides
    return _at(float(fixed.affine[2, 3]), sides[0]), _at(height_beside(fixed, moving), sides[1])


def height_beside(fixed: Grid, moving: Grid) -> float:
    """Height in mm of a moving slice that is parallel to a 2-D fixed image; that of the fixed one, of anything else."""
    parallel = moving.shape[2] == 1 and lies_in_plane(moving.affine)
    return float((moving if parallel else fixed).affine[2, 3])


def led_into_plane(start: Transform, fixed: Grid, before: float, after: float) -> Transform:
    """A start, led on from one height to another where it leads nearer to the first.

    Parameters
    ----------
    start : Transform
        Fixed world to moving world.
    fixed : Grid
        Of the fixed image.
    before, after : float
        Heights, in mm of the moving world.
    """
    led_to = float(start.map_points(fixed.centre)[2])
    if abs(led_to - after) <= abs(led_to - before):
        return start
    shift = np.eye(4)
    shift[2, 3] = after - before
    return Chain.of(start, Affine(shift)).simplified()


def _at(height: float, points: Points) -> Points:
    return np.column_stack([points[:, :2], np.full(len(points), height)])
