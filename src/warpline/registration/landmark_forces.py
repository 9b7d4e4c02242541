"""Forces that bring landmarks of the two images together, beside those of the images.

A landmark is known in both images; its place m in the middle space is followed from iteration to iteration: with
half-maps ``x + u_s(x)`` and the landmark at ``p_s`` of side s, it moves by the mean of the misses
``d_s = p_s - m - u_s(m)``, and half their difference is what the half-maps must still make up. That is spread over the
eight voxels around it, and smoothed with all other forces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.space.grid import Shape

Points = NDArray[np.float64]

LONGEST = 1.0
"""Voxels of the level up to which the force on a landmark grows with its miss: one that is far off does not drown
the images."""
SETTLING = 20
"""Rounds in which places in the middle space are found at the start of a level."""


class LandmarkForces:
    """The forces on landmarks at one level.

    Parameters
    ----------
    targets : (2, N, 3)
        The landmarks in the fixed image, and those of the moving one through the inverse of the affine, in voxels.
    shape : (I, J, K)
        Of the level.
    backend : Backend
        Where the half-maps are; the few numbers of landmarks are on the host.
    """

    def __init__(self, targets: Points, shape: Shape, backend: Backend) -> None:
        self._targets, self._shape, self._backend = targets, shape, backend
        self._middles, self._scale, self._missed = targets.mean(axis=0), 0.0, np.zeros(len(targets[0]))

    def start(self, half_maps: Array, strength: float) -> None:
        """Find the places under the half-maps; `strength` is the force on a landmark that misses by a voxel."""
        self._scale = strength
        for _ in range(SETTLING):
            self._misses(half_maps)

    def add(self, half_maps: Array, forces: Array) -> None:
        """Add the forces on both half-maps (2, 3, I, J, K)."""
        misses = self._misses(half_maps)
        lengths = np.linalg.norm(misses, axis=1)
        self._missed = np.where(lengths < LONGEST, lengths**2, LONGEST * (2 * lengths - LONGEST))
        pulls = misses * (self._scale / np.maximum(lengths / LONGEST, 1.0))[:, None]
        voxels, weights = self._corners()
        places, where = np.unique(voxels, return_inverse=True)
        sums = np.zeros((3, len(places)))
        for axis in range(3):
            np.add.at(sums[axis], where.ravel(), (weights * pulls[:, axis, None]).ravel())
        at, flat = self._backend.upload(places), forces.reshape(2, 3, -1)
        pulled = self._backend.upload(sums.astype(np.float32))
        flat[0, :, at] += pulled.T
        flat[1, :, at] -= pulled.T

    def energy(self) -> float:
        """What the forces lower, in units of the mean over voxels; quadratic up to the longest force, then linear."""
        return float(self._scale * self._missed.sum() / np.prod(self._shape))

    def _misses(self, half_maps: Array) -> Points:
        """Half the difference of the misses of both sides (N, 3), after places moved by their mean."""
        points = self._backend.upload(self._middles.astype(np.float32))
        sampled = self._backend.empty((6, len(self._middles)))
        for row, volume in zip(sampled, half_maps.reshape(6, *self._shape), strict=True):
            row[...] = self._backend.sample_at(volume, points)
        moved = self._backend.download(sampled).astype(np.float64).reshape(2, 3, -1).transpose(0, 2, 1)
        fixed, moving = self._targets - (self._middles + moved)
        last = np.array(self._shape) - 1.0
        self._middles = np.clip(self._middles + (fixed + moving) / 2, 0.0, last)
        misses: Points = (fixed - moving) / 2
        return misses

    def _corners(self) -> tuple[NDArray[np.int64], Points]:
        """Flat indices and linear weights (N, 8) of the voxels around each place."""
        last = np.array(self._shape) - 1
        below = np.clip(np.floor(self._middles).astype(np.int64), 0, np.maximum(last - 1, 0))
        share = np.clip(self._middles - below, 0.0, 1.0)
        offsets = np.indices((2, 2, 2)).reshape(3, 8).T
        corners = np.minimum(below[:, None] + offsets, last)
        weights: Points = np.where(offsets == 1, share[:, None], 1 - share[:, None]).prod(axis=2)
        flat = np.ravel_multi_index(tuple(np.moveaxis(corners, -1, 0)), self._shape)
        return flat.astype(np.int64), weights
