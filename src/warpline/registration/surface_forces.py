"""Forces that bring nearest points of surfaces together, beside those of the images.

The points of both surfaces are followed into the middle space, each through the half-map of its own side. There every
point of either is matched with the nearest one of the other, and the two are landmarks until they are matched again,
every `REMATCH_EVERY` iterations: between these, points slide along a surface no further than the forces of the images
take them. Points that are far beyond the others do not pull, nor do those that lie outside the level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.registration.landmark_forces import SETTLING, LandmarkForces, held_inside, moved_by, potential
from warpline.registration.nearest_points import NearestPoints, places_both_ways
from warpline.registration.surfaces import LoadedSurfaces
from warpline.space.grid import Grid, Matrix, apply_affine

Points = NDArray[np.float64]

REMATCH_EVERY = 5
"""Iterations after which points are matched again: as often as energies are evaluated."""

FOLLOWING = 4
"""Rounds in which points are followed into the middle space when they are matched again."""

LEAST_FAR_VOXELS = 2.0
"""Voxels of the level up to which no point counts as far beyond the others."""


class SurfaceForces:
    """The forces on a pair of surfaces at one level.

    Of several points in a voxel of the level one pulls: places that are sampled densely do not count more.

    Parameters
    ----------
    surfaces : LoadedSurfaces
        Both in the fixed world, the moving one through the inverse of the affine.
    grid : Grid
        Of the level.
    backend : Backend
        Where the half-maps are; points are on the host.
    weight : float
        Of a miss of a voxel, in units of the images.
    allowed : (3, 3), optional
        Projection of vectors in voxels onto the directions along which points may move.
    """

    def __init__(
        self, surfaces: LoadedSurfaces, grid: Grid, backend: Backend, *, weight: float, allowed: Matrix | None = None
    ) -> None:
        self._surfaces, self._grid, self._backend, self._weight = surfaces, grid, backend, weight
        self._sides = (surfaces.fixed, surfaces.moving)
        fixed, moving = (apply_affine(grid.inverse_affine, side.points) for side in self._sides)
        self._points = fixed, moving
        self._pulling = [_one_for_each_voxel(points) for points in self._points]
        self._middles = [fixed.copy(), moving.copy()]
        self._inside = [np.ones(len(points), bool) for points in self._points]
        self._matched = LandmarkForces(np.zeros((2, 0, 3)), grid, backend, weight=weight, allowed=allowed)
        self._limit, self._lost, self._energy, self._age = 0.0, 0, 0.0, 0

    def follow(self, half_maps: Array) -> None:
        """Match the points under the half-maps of the start of a level, where it is seen which are too far."""
        self._follow(half_maps, SETTLING)
        matches = self._nearest()
        self._limit = self._surfaces.limit(matches[2], LEAST_FAR_VOXELS * self._voxel) if len(matches[2]) else 0.0
        self._take(*matches)

    def add_unit(self, forces: Array) -> None:
        """Add what forces are scaled by: those when all points miss by a voxel together, along the longest axis."""
        along = np.eye(3)[int(np.argmax(self._grid.shape))]
        self._matched.spread(np.tile(along, (self._matched.count, 1)), forces)

    def scale(self, force: float, energy: float) -> None:
        """Set what a miss of a voxel is worth, for a weight of 1."""
        self._energy = self._weight * energy
        self._matched.scale(force, energy)

    def add(self, half_maps: Array, forces: Array) -> None:
        """Add the forces on both half-maps (2, 3, I, J, K); every so often, match the points again first."""
        if self._age == REMATCH_EVERY:
            self._follow(half_maps, FOLLOWING)
            self._take(*self._nearest())
        self._age += 1
        self._matched.add(half_maps, forces)

    def energy(self) -> float:
        """What the forces lower, a mean over points; those that do not pull count as if they were at the limit."""
        at_limit = self._energy * float(potential(np.array(self._limit / self._voxel / 2)))
        matched, lost = self._matched.count, self._lost
        return (matched * self._matched.energy() + lost * at_limit) / max(matched + lost, 1)

    def distance(self) -> float:
        """Root mean square distance in mm of points and what they are matched with."""
        return self._matched.distance()

    @property
    def _voxel(self) -> float:
        """Length of a voxel in mm: the shortest edge, but for an axis of one voxel."""
        thick = np.array(self._grid.shape) > 1
        return float(self._grid.voxel_size[thick].min(initial=np.inf) if thick.any() else self._grid.voxel_size.min())

    def _follow(self, half_maps: Array, rounds: int) -> None:
        """Find the places of all points in the middle space, and which of them are inside the level."""
        for side, points in enumerate(self._points):
            for _ in range(rounds):
                middles = self._middles[side]
                (moved,) = moved_by(half_maps[side : side + 1], middles, self._backend)
                self._middles[side], self._inside[side] = held_inside(middles + points - moved, self._grid.shape)

    def _nearest(self) -> tuple[Points, Points, Points]:
        """Matched points of both images (2, N, 3) and their places (N, 3), in voxels; distances in mm in that space."""
        fixed, moving = (apply_affine(self._grid.affine, middles) for middles in self._middles)
        one, other = (at[inside[at]] for at, inside in zip(self._pulling, self._inside, strict=True))
        sides = zip((fixed, moving), self._sides, self._inside, strict=True)
        on_fixed, on_moving = (NearestPoints(points, side.triangles, inside) for points, side, inside in sides)
        if on_fixed.is_empty or on_moving.is_empty:
            return np.zeros((2, 0, 3)), np.zeros((0, 3)), np.zeros(0)
        matches = on_moving.find(fixed[one]), on_fixed.find(moving[other])
        targets = places_both_ways(self._points, (one, other), matches)
        middles = places_both_ways((self._middles[0], self._middles[1]), (one, other), matches).mean(axis=0)
        return targets, middles, np.concatenate([found.distances for found in matches])

    def _take(self, targets: Points, middles: Points, distances: Points) -> None:
        """Let matched points pull, but those that are too far."""
        near = distances <= self._limit
        self._matched.retarget(targets[:, near], middles[near])
        self._lost, self._age = sum(len(at) for at in self._pulling) - int(near.sum()), 0


def _one_for_each_voxel(points: Points) -> NDArray[np.int64]:
    """Indices of one of the points (N, 3) in each voxel that has some."""
    return np.unique(np.rint(points), axis=0, return_index=True)[1]
