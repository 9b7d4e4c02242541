"""An affine start from surfaces: iterative closest points, after Besl & McKay 1992, doi:10.1109/34.121791.

Nearest points are looked for both ways, and those far beyond the others do not count, so that a surface that one image
shows more of than the other does not drag it. Every pair of surfaces counts by its weight, however many points it has.
Where a pair has a reach, what is further apart does not count once points have come to rest without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.recipe.linear import SurfaceModel
from warpline.registration.nearest_points import Indices, NearestPoints, far_beyond, places_both_ways
from warpline.registration.point_fits import FITS, spans
from warpline.registration.surfaces import LoadedSurfaces
from warpline.space import Affine
from warpline.space.grid import Grid

Points = NDArray[np.float64]

MOST_ROUNDS = 150
"""Rounds of matching and fitting."""

MOST_POINTS = 2000
"""Points of each surface that are matched, evenly chosen; twelve numbers need no more."""

SETTLED = 2e-3
"""Share of the mean distance of matched points by which a round must move them."""


def start_from_surfaces(surfaces: Sequence[LoadedSurfaces], start: Affine, model: SurfaceModel, grid: Grid) -> Affine:
    """The affine, fixed world to moving world, that brings nearest points together.

    Parameters
    ----------
    surfaces : sequence of LoadedSurfaces
        Each in the world of its image.
    start : Affine
        Where the first nearest points are looked for.
    model : {"rigid", "similarity", "affine"}
        What is fitted; rigid first.
    grid : Grid
        Of the fixed image; those of a flat one are brought together in its plane, which the affine does not leave.

    Raises
    ------
    InputError
        When points leave the model open.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Grid
    >>> from warpline.registration.surfaces import LoadedSurfaces, JoinedPoints
    >>> from warpline.registration.surface_start import start_from_surfaces
    >>> ring = np.random.default_rng(0).normal(size=(200, 3)) * [3, 2, 1]
    >>> pair = LoadedSurfaces(JoinedPoints(ring), JoinedPoints(ring + [0, 0, 0.1]))
    >>> found = start_from_surfaces([pair], Affine.identity(), "rigid", Grid((4, 4, 4), np.eye(4)))
    >>> found.matrix[:3, 3].round(3) + 0.0
    array([0. , 0. , 0.1])
    """
    axes = 2 if grid.flat else 3
    surfaces = [pair.in_planes_of(grid, grid) for pair in surfaces]
    _check_spread(surfaces, _least(model, axes), model)
    finders = [_Finder(pair) for pair in surfaces]
    affine = _in_plane(start) if grid.flat else start
    for stage in dict.fromkeys(("rigid", model)):
        affine = _closest(finders, affine, stage, axes)
    if any(pair.reach is not None for pair in surfaces):
        affine = _closest(finders, affine, model, axes, within_reach=True)
    return affine


def _in_plane(start: Affine) -> Affine:
    """The start without what leads out of the plane."""
    matrix = start.matrix.copy()
    matrix[2] = [0, 0, 1, 0]
    return Affine(matrix)


def _closest(
    finders: Sequence[_Finder], affine: Affine, model: str, axes: int, *, within_reach: bool = False
) -> Affine:
    """Match and fit until points come to rest, or so few are within reach that they leave the map open."""
    for _ in range(MOST_ROUNDS):
        found = [finder.matched(affine, within_reach=within_reach) for finder in finders]
        fixed, moving = np.concatenate([points for points, _ in found], axis=1)
        weights = np.concatenate([weights for _, weights in found])
        if within_reach and not all(len(side) and spans(side, _least(model, axes)) for side in (fixed, moving)):
            break
        before, affine = affine.map_points(fixed), FITS[model](fixed, moving, axes, weights)
        after = affine.map_points(fixed)
        if _mean_distance(before, after, weights) <= SETTLED * _mean_distance(after, moving, weights):
            break
    return affine


def _least(model: str, axes: int) -> int:
    """Dimensions that points must span for a map to be fitted."""
    return axes if model == "affine" else axes - 1


def _mean_distance(points: Points, others: Points, weights: Points) -> float:
    return float(np.average(np.linalg.norm(points - others, axis=1), weights=weights))


class _Finder:
    """Matches the points of a pair under an affine."""

    def __init__(self, pair: LoadedSurfaces) -> None:
        sides = pair.fixed, pair.moving
        self._points = pair.fixed.points, pair.moving.points
        self._asked = _evenly_chosen(self._points[0]), _evenly_chosen(self._points[1])
        self._nearest = [NearestPoints(side.points, side.triangles) for side in sides]
        self._weight, self._reach = pair.weight, pair.reach

    def matched(self, affine: Affine, *, within_reach: bool) -> tuple[Points, Points]:
        """Points of the fixed image and what they are matched with in the moving one (2, N, 3), and weights (N,)."""
        (fixed, moving), (one, other) = self._points, self._asked
        there = self._nearest[1].find(affine.map_points(fixed[one]))
        back = self._nearest[0].find(affine.inverse().map_points(moving[other]))
        both = places_both_ways(self._points, self._asked, (there, back))
        distances = np.linalg.norm(affine.map_points(both[0]) - both[1], axis=1)
        limit = self._reach if within_reach else None
        near = distances <= (far_beyond(distances, float(distances.mean())) if limit is None else limit)
        return both[:, near], np.full(int(near.sum()), self._weight / len(near))


def _evenly_chosen(points: Points) -> Indices:
    """Indices of at most `MOST_POINTS` of points (N, 3)."""
    return np.arange(0, len(points), -(-len(points) // MOST_POINTS))


def _check_spread(surfaces: Sequence[LoadedSurfaces], least: int, model: SurfaceModel) -> None:
    """Refuse surfaces that span fewer than `least` dimensions."""
    for side in ("fixed", "moving"):
        points = np.concatenate([getattr(pair, side).points for pair in surfaces])
        if not spans(points, least):
            raise InputError(
                f"the points of the {side} surfaces lie in a line or a plane, or are fewer than {least + 1}, which "
                f"leaves initialise.surfaces={model} open: give more, or set initialise.surfaces=off"
            )
