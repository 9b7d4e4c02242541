"""Nearest points of a set, of the lines or of the triangles between its points, and which of them are too far.

A place on a triangle is a mean of its corners, so that it can be found again after the corners have moved. A line from
point to point is a triangle with an edge of no length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Points = NDArray[np.float64]
Indices = NDArray[np.int64]
Sides = tuple[Points, Points]

CANDIDATES = 8
"""Triangles with the nearest centres among which the nearest point is looked for, beside one at the nearest corner."""

SPREADS = 4.0
"""Standard deviations, by the median absolute one, above the median at which a distance is far beyond the others."""

_SIGMA = 1.4826
"""Standard deviation of a normal distribution in units of its median absolute deviation."""

_AT_ONCE = 2**11
"""Points looked for at once: what is kept of their candidates fits a cache."""

_EDGES = ((0, 1), (1, 2), (2, 0))


@dataclass(frozen=True, eq=False)
class Matches:
    """Nearest points.

    Parameters
    ----------
    corners : (N, C) int64
        Points of the set that each is a mean of: one, or those of a triangle.
    shares : (N, C)
        Of each in the mean.
    distances : (N,)
        From what was asked for, in its unit.
    """

    corners: Indices
    shares: Points
    distances: Points

    def places(self, points: Points) -> Points:
        """Where the nearest points (N, 3) are when those of the set are at `points`."""
        places: Points = (points[self.corners] * self.shares[..., None]).sum(axis=1)
        return places


class NearestPoints:
    """Finds nearest points.

    Parameters
    ----------
    points : (N, 3)
        The set.
    triangles : (M, 3) int, optional
        Points that are joined; those of a line have their second corner twice. The nearest point is then looked for on
        the triangles with the nearest centres, which has it where they are of like size.
    counting : (N,) bool, optional
        Points that are there; triangles of others are not. All when None.

    Examples
    --------
    >>> import numpy as np
    >>> NearestPoints(np.eye(3), np.array([[0, 1, 2]])).find(np.ones((1, 3))).shares.round(3)
    array([[0.333, 0.333, 0.333]])
    """

    def __init__(
        self, points: Points, triangles: Indices | None = None, counting: NDArray[np.bool_] | None = None
    ) -> None:
        counting = np.ones(len(points), bool) if counting is None else counting
        self._points = points
        self._triangles = (
            None if triangles is None or not len(triangles) else triangles[counting[triangles].all(axis=1)]
        )
        if self._triangles is None:
            self._at = np.flatnonzero(counting)
            self._tree = _tree_of(points[self._at])
            return
        one = np.full(len(points), -1)
        one[self._triangles[::-1].ravel()] = np.repeat(np.arange(len(self._triangles))[::-1], 3)
        self._at = np.flatnonzero(one >= 0)
        self._joined, self._of_joined = _tree_of(points[self._at]), one[self._at]
        self._tree = _tree_of(points[self._triangles].mean(axis=1))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to find."""
        return not len(self._at)

    def find(self, places: Points) -> Matches:
        """The nearest points of places (N, 3)."""
        if self._triangles is None:
            found = self._tree.query(places, k=[1])
            return Matches(
                self._at[np.asarray(found[1], np.int64)], np.ones((len(places), 1)), np.asarray(found[0])[:, 0]
            )
        parts = [self._on_triangles(places[at : at + _AT_ONCE]) for at in range(0, max(len(places), 1), _AT_ONCE)]
        corners, shares, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Matches(corners, shares, distances)

    def _on_triangles(self, places: Points) -> tuple[Indices, Points, Points]:
        assert self._triangles is not None, "the set has triangles"
        count = min(CANDIDATES, len(self._triangles))
        near = self._tree.query(places, k=np.arange(1, count + 1))[1]
        at_corner = self._of_joined[self._joined.query(places)[1]]
        candidates = np.column_stack([near, at_corner])
        corners = self._triangles[candidates]
        shares, distances = _nearest_shares(places[:, None], self._points[corners])
        rows, best = np.arange(len(places)), distances.argmin(axis=1)
        return corners[rows, best], shares[rows, best], distances[rows, best]


def places_both_ways(points: Sides, asked: tuple[Indices, Indices], matches: tuple[Matches, Matches]) -> Points:
    """Places on both sides (2, N, 3): of points that were asked for and of what each is matched with.

    Parameters
    ----------
    points : ((N, 3), (M, 3))
        Of both sides, in any space.
    asked : (indices, indices)
        Points of either side that were asked for.
    matches : (Matches, Matches)
        What is nearest to those of the first side on the second one, and the other way round.
    """
    (here, there), (one, other), (on_there, on_here) = points, asked, matches
    first = np.concatenate([here[one], on_here.places(here)])
    return np.stack([first, np.concatenate([on_there.places(there), there[other]])])


def far_beyond(distances: Points, least: float) -> float:
    """Distance above which one of many is far beyond the others: `SPREADS` above their median, `least` at least."""
    median = float(np.median(distances))
    spread = float(np.median(np.abs(distances - median)))
    return max(median + SPREADS * _SIGMA * spread, least)


def _tree_of(points: Points) -> cKDTree:
    """A tree that is quick to build: points move, and trees are soon built again."""
    from scipy.spatial import cKDTree

    return cKDTree(points, compact_nodes=False, balanced_tree=False)


def _nearest_shares(places: Points, corners: Points) -> tuple[Points, Points]:
    """Shares (..., 3) of the corners (..., 3, 3) of triangles in their nearest points, and the distances (...)."""
    choices = [_within(places, corners), *(_on_edge(places, corners, *edge) for edge in _EDGES)]
    shares = np.stack(choices)
    places_found = np.einsum("...c,...cx->...x", shares, corners)
    distances = np.linalg.norm(places_found - places, axis=-1)
    distances[0][(shares[0] < 0).any(axis=-1)] = np.inf
    best = distances.argmin(axis=0)[None]
    taken = np.take_along_axis(shares, best[..., None], axis=0)[0]
    return taken, np.take_along_axis(distances, best, axis=0)[0]


def _within(places: Points, corners: Points) -> Points:
    """Shares of the foot of the perpendicular on the plane of a triangle; negative where that is none."""
    origin = corners[..., 0, :]
    one, other, to = corners[..., 1, :] - origin, corners[..., 2, :] - origin, places - origin
    lengths, product = np.square(one).sum(-1), (one * other).sum(-1)
    others = np.square(other).sum(-1)
    area = lengths * others - product**2
    along, across = (to * one).sum(-1), (to * other).sum(-1)
    flat = area <= 1e-12 * lengths * others
    divisor = np.where(flat, 1.0, area)
    second = (others * along - product * across) / divisor
    third = (lengths * across - product * along) / divisor
    shares = np.stack([1 - second - third, second, third], axis=-1)
    return np.where(flat[..., None], -1.0, shares)


def _on_edge(places: Points, corners: Points, start: int, stop: int) -> Points:
    """Shares of the nearest point of one edge of a triangle."""
    edge = corners[..., stop, :] - corners[..., start, :]
    length = np.square(edge).sum(-1)
    along = ((places - corners[..., start, :]) * edge).sum(-1) / np.where(length > 0, length, 1.0)
    share = np.clip(along, 0.0, 1.0)
    shares = np.zeros((*share.shape, 3))
    shares[..., start], shares[..., stop] = 1 - share, share
    return shares
