"""Smoothing of updates by B-splines on a lattice of control points.

After B-spline SyN (Tustison and Avants 2013, doi:10.3389/fninf.2013.00039): an update is a spline, whose lattice gets
twice as fine from level to level. Control points are the means of cubes of voxels. The spline is quadratic and made by
subdivision: corners of the polygon of its control points are cut, by linear interpolation at a quarter and at three
quarters of every edge, until there is a point for every voxel (Chaikin 1974, doi:10.1016/0146-664X(74)90028-8).
Spacings are powers of two of a voxel, so that the steps are those by which `update_smoothing` changes scales.
"""

from __future__ import annotations

import math

from warpline.backends import Array, Backend
from warpline.backends.arrays import halved


class SplineSmoothing:
    """Smooths the forces of a level; holds the memory of its lattices.

    Parameters
    ----------
    shape : (2, 3, I, J, K)
        Of the forces.
    spacing : float
        Of the control points in voxels; the nearest power of two is taken, 2 at least.
    backend : Backend
        Where the arrays are.
    """

    def __init__(self, shape: tuple[int, ...], spacing: float, backend: Backend) -> None:
        self._backend, self._zero = backend, backend.zeros((1,))
        self._means: list[Array] = []
        self._splines: list[Array] = []
        for _ in range(halvings(spacing)):
            shape = halved(shape)
            self._means.append(backend.empty(shape))
            self._splines.append(backend.empty(shape))

    def smooth(self, forces: Array, *, out: Array, out_norm: Array) -> None:
        """Write the updates to `out`; `out_norm` (2,) is raised to their longest vector on each side."""
        backend, levels = self._backend, [forces, *self._means]
        for fine, coarse in zip(levels, self._means, strict=False):
            backend.halve(fine, out=coarse)
        coarse, targets = self._means[-1], [out, *self._splines[:-1]]
        for n in range(len(targets) - 1, -1, -1):
            backend.add_weighted(levels[n], self._zero, out=targets[n], start=True)
            backend.add_doubled(coarse, 1.0, out=targets[n], out_norm=None if n else out_norm)
            coarse = targets[n]


def halvings(spacing: float) -> int:
    """How often a lattice of voxels is halved to one of a spacing in voxels, about."""
    return max(1, round(math.log2(max(spacing, 1.0))))
