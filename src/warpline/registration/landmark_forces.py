"""Forces that bring landmarks of the two images together, beside those of the images.

A landmark is known in both images; its place m in the middle space is followed from iteration to iteration: with
half-maps ``x + u_s(x)`` and the landmark at ``p_s`` of side s, it moves by the mean of the misses
``d_s = p_s - m - u_s(m)``, and half their difference is what the half-maps must still make up. That is spread over the
eight voxels around it, and smoothed with all other forces. Landmarks outside the level do not pull, and are not
measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.space.grid import Grid, Matrix, Shape

Points = NDArray[np.float64]

LONGEST = 1.0
"""Voxels of the level up to which the force on a landmark grows with its miss: one that is far off does not drown
the images."""
EDGE = 0.5
"""Voxels beyond the centres of the outer voxels up to which a place is inside a level."""
SETTLING = 20
"""Rounds in which places in the middle space are found at the start of a level."""


class LandmarkForces:
    """The forces on landmarks at one level.

    Parameters
    ----------
    targets : (2, N, 3)
        The landmarks in the fixed image, and those of the moving one through the inverse of the affine, in voxels.
    grid : Grid
        Of the level.
    backend : Backend
        Where the half-maps are; the few numbers of landmarks are on the host.
    weight : float
        Of a miss of a voxel, in units of the images.
    allowed : (3, 3), optional
        Projection of vectors in voxels onto the directions along which points may move: what cannot be made up does
        not count as missed.
    """

    def __init__(
        self, targets: Points, grid: Grid, backend: Backend, *, weight: float = 1.0, allowed: Matrix | None = None
    ) -> None:
        self._targets, self._grid, self._backend, self._weight = targets, grid, backend, weight
        self._allowed = np.eye(3) if allowed is None else allowed
        self._middles, self._force, self._energy = targets.mean(axis=0), 0.0, 0.0
        self._misses, self._inside = np.zeros(self._middles.shape), np.ones(len(self._middles), bool)

    def follow(self, half_maps: Array) -> None:
        """Find the places under the half-maps of the start of a level."""
        for _ in range(SETTLING):
            self._measure(half_maps)

    def add_unit(self, forces: Array) -> None:
        """Add what forces are scaled by: that on the fixed side of one landmark that misses by a voxel."""
        forces[(0, 0, *(n // 2 for n in self._grid.shape))] += 1

    def scale(self, force: float, energy: float) -> None:
        """Set what a miss of a voxel is worth, for a weight of 1."""
        self._force, self._energy = self._weight * force, self._weight * energy

    def add(self, half_maps: Array, forces: Array) -> None:
        """Add the forces on both half-maps (2, 3, I, J, K)."""
        if not self.count:
            return
        self._measure(half_maps)
        lengths = np.linalg.norm(self._misses, axis=1, keepdims=True)
        self.spread(self._misses * (self._force / np.maximum(lengths / LONGEST, 1.0)), forces)

    def energy(self) -> float:
        """What the forces lower, a mean over landmarks; quadratic up to the longest force, then linear."""
        lowered = potential(np.linalg.norm(self._misses, axis=1)).sum()
        return self._energy * float(lowered) / max(int(self._inside.sum()), 1)

    def distance(self) -> float:
        """Root mean square distance of the landmarks in mm, along the directions in which points may move."""
        squares = np.square(2 * self._misses @ self._grid.affine[:3, :3].T).sum(axis=1)
        return float(np.sqrt(squares.sum() / max(int(self._inside.sum()), 1)))

    @property
    def count(self) -> int:
        """Number of landmarks."""
        return len(self._middles)

    def retarget(self, targets: Points, middles: Points) -> None:
        """Other landmarks (2, N, 3), with their places (N, 3) in the middle space."""
        self._targets, self._middles, self._misses = targets, middles, np.zeros(middles.shape)
        self._inside = np.ones(len(middles), bool)

    def spread(self, pulls: Points, forces: Array) -> None:
        """Add pulls (N, 3) on the landmarks to the forces on the fixed side, and their opposite to the moving side."""
        if not self.count:
            return
        voxels, weights = self._corners()
        places, where = np.unique(voxels, return_inverse=True)
        shares = weights[..., None] * pulls[:, None]
        sums = [np.bincount(where.ravel(), shares[..., axis].ravel(), len(places)) for axis in range(3)]
        at, flat = self._backend.upload(places), forces.reshape(2, 3, -1)
        pulled = self._backend.upload(np.stack(sums).astype(np.float32))
        flat[0, :, at] += pulled.T
        flat[1, :, at] -= pulled.T

    def _measure(self, half_maps: Array) -> None:
        """Half the difference of the misses of both sides (N, 3), none across a slice or outside the level."""
        fixed, moving = self._targets - moved_by(half_maps, self._middles, self._backend)
        self._middles, self._inside = held_inside(self._middles + (fixed + moving) / 2, self._grid.shape)
        counts = self._inside[:, None] & (np.array(self._grid.shape) > 1)
        self._misses = np.where(counts, (fixed - moving) / 2, 0.0) @ self._allowed.T

    def _corners(self) -> tuple[NDArray[np.int64], Points]:
        """Flat indices and linear weights (N, 8) of the voxels around each place."""
        last = np.array(self._grid.shape) - 1
        below = np.clip(np.floor(self._middles).astype(np.int64), 0, np.maximum(last - 1, 0))
        share = np.clip(self._middles - below, 0.0, 1.0)
        offsets = np.indices((2, 2, 2)).reshape(3, 8).T
        corners = np.minimum(below[:, None] + offsets, last)
        weights: Points = np.where(offsets == 1, share[:, None], 1 - share[:, None]).prod(axis=2)
        flat = np.ravel_multi_index(tuple(np.moveaxis(corners, -1, 0)), self._grid.shape)
        return flat.astype(np.int64), weights


def moved_by(half_maps: Array, points: Points, backend: Backend) -> Points:
    """Points (N, 3) in voxels through each of S half-maps (S, 3, I, J, K): (S, N, 3)."""
    at, sides = backend.upload(points.astype(np.float32)), len(half_maps)
    sampled = backend.empty((3 * sides, len(points)))
    for row, volume in zip(sampled, half_maps.reshape(-1, *half_maps.shape[2:]), strict=True):
        row[...] = backend.sample_at(volume, at)
    moved = backend.download(sampled).astype(np.float64).reshape(sides, 3, -1).transpose(0, 2, 1)
    return points + moved


def held_inside(places: Points, shape: Shape) -> tuple[Points, NDArray[np.bool_]]:
    """Places (N, 3) in voxels moved into a volume, and which were in it before; the one voxel of an axis has no end."""
    last = np.array(shape) - 1.0
    held = np.clip(places, 0.0, last)
    beyond: Points = np.abs(places - held)[:, last > 0].max(axis=1, initial=0.0)
    return held, beyond <= EDGE


def potential(lengths: Points) -> Points:
    """What a force that grows with a length up to `LONGEST` is twice the slope of."""
    return np.where(lengths < LONGEST, lengths**2, LONGEST * (2 * lengths - LONGEST))
