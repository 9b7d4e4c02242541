"""Smoothing of updates at several scales, so that an object can move as a whole where only parts of it fit badly.

An update is the force smoothed by ``G + w1 D G H + w2 D D G H H + ...``: G a Gaussian, H means over cubes of two
voxels, D linear interpolation back. Such a sum of Gaussians of doubling widths is the kernel of a space of velocities
with more than one scale (Risser et al. 2011, doi:10.1109/TMI.2011.2146787); each costs an eighth of the one before.
"""

from __future__ import annotations

from warpline.backends import Array, Backend
from warpline.backends.arrays import halved

LEAST_ACROSS = 8
"""Least voxels along the longest axis of a coarser grid; fewer move all there is as one, as linear stages have done."""


class UpdateSmoothing:
    """Smooths the forces of a level; holds the memory of its coarser grids.

    Parameters
    ----------
    shape : (S, 3, I, J, K)
        Of the forces on S sides.
    sigma : float
        Of the Gaussian, in voxels of each grid.
    weights : tuple of float
        Of the coarser scales, each on a grid of half as many voxels along each axis; that of the level's own is 1.
        Those of grids with less than `LEAST_ACROSS` voxels across are left out.
    backend : Backend
        Where the arrays are.
    """

    def __init__(self, shape: tuple[int, ...], sigma: float, weights: tuple[float, ...], backend: Backend) -> None:
        self._sigma, self._weights, self._backend = (sigma,) * 3, (1.0, *weights), backend
        self._coarser: list[tuple[Array, Array]] = []
        for _ in weights:
            shape = halved(shape)
            if max(shape[2:]) < LEAST_ACROSS:
                break
            self._coarser.append((backend.empty(shape), backend.empty(shape)))

    def smooth(self, forces: Array, *, out: Array, out_norm: Array) -> None:
        """Write the updates to `out`; `out_norm` (S,) is raised to their longest vector on each side."""
        backend, finer = self._backend, forces
        backend.smooth(forces, self._sigma, out=out, out_norm=None if self._coarser else out_norm)
        for halves, smoothed in self._coarser:
            backend.halve(finer, out=halves)
            backend.smooth(halves, self._sigma, out=smoothed)
            finer = halves
        targets = [out, *(smoothed for _, smoothed in self._coarser)]
        for scale in range(len(self._coarser), 0, -1):
            weight = self._weights[scale] / self._weights[scale - 1]
            norm = out_norm if scale == 1 else None
            backend.add_doubled(targets[scale], weight, out=targets[scale - 1], out_norm=norm)
