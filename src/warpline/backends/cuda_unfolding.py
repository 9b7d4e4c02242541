"""Raising of low Jacobian determinants on a GPU: sweeps of 27 launches, replayed as a graph."""

from __future__ import annotations

import math

import numpy as np

from warpline.backends.arrays import Array
from warpline.backends.cuda_workspace import Workspace, block_count

APART = 3
"""Voxels along each axis between two that move in one launch: their tetrahedra share no vertex."""


class Sweeps:
    """The sweeps of `Backend.unfold` over one field.

    Parameters
    ----------
    work : Workspace
        What launches.
    field : (3, I, J, K) float32
        Displacement in voxels, changed in place.
    least : (I, J, K) float32
        `Backend.least_jacobian` of it; every sweep brings it up to date.
    limit, target : float
        Determinants of at most `limit` move towards `target`.
    """

    def __init__(self, work: Workspace, field: Array, least: Array, *, limit: float, target: float) -> None:
        self._work, self._field, self._least, self._limit, self._target = work, field, least, limit, target

    def run(self, times: int) -> None:
        """Sweep until no determinant is low, so many times at most."""
        with self._work.session():
            for _ in range(times):
                if not self._work.runtime.to_host((self._least <= self._limit).any().reshape(1))[0]:
                    return
                self._work.repeat(self._sweep, 1)

    def _sweep(self) -> None:
        shape = self._least.shape
        for first in np.ndindex(APART, APART, APART):
            group = tuple(max(0, block_count(n - a, APART)) for n, a in zip(shape, first, strict=True))
            if math.prod(group):
                first_i, first_j, first_k = first
                self._work.over_voxels(
                    "unfold", group, field=self._field, least=self._least, first_i=first_i, first_j=first_j,
                    first_k=first_k, limit=self._limit, target=self._target,
                )  # fmt: skip
        self._work.over_voxels("least_jacobian", shape, field=self._field, out=self._least)
