"""The objective of linear registration: a metric of two pyramid levels as a function of an affine map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from warpline.backends.affine_problem import BfgsOptions
from warpline.metrics import LINEAR_METRICS, LinearMetric, Samples
from warpline.recipe import Linear
from warpline.registration.affine_parameters import AffineParameters
from warpline.registration.pyramid import PyramidLevel
from warpline.registration.sample_points import sample_points
from warpline.space.grid import Grid, Matrix

RIM = 2.0
"""Background around the fixed foreground that is sampled as well, in voxels of the level.

Without it the outline of the object does not count; a wide one drowns the object in background."""
LEAST_OVERLAP = 0.1
"""Share of the sample points that must land in the moving image; below, the metric is at its worst value and flat.

Lower, few points agree by chance; higher, a part of an object cannot be registered to the whole."""


class AffineObjective:
    """A linear metric as a function of the fixed world to moving world matrix.

    Parameters
    ----------
    metric : LinearMetric
        A function of the fixed voxel to moving voxel matrix.
    fixed, moving : Grid
        Grids of these voxels.
    """

    def __init__(self, metric: LinearMetric, fixed: Grid, moving: Grid) -> None:
        self.shape = fixed.shape
        self._metric = metric
        self._to_world = fixed.affine
        self._to_voxel = moving.inverse_affine
        self._to_voxel_transposed = np.ascontiguousarray(self._to_voxel[:3, :3].T)

    def overlap(self, world: Matrix) -> float:
        """Share of the sample points that land in the moving image."""
        _, shares = self._metric.values(self._to_voxel @ world[None] @ self._to_world)
        return float(shares[0])

    def values(self, worlds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The metric at fixed world to moving world matrices (S, 4, 4), each weighted by its share of overlap."""
        values, shares = self._metric.values(self._to_voxel @ worlds @ self._to_world)
        return np.where(shares >= LEAST_OVERLAP, values * shares, self._metric.worst)

    def values_and_derivatives(self, worlds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The metric (S,) and its derivatives (S, 3, 4) by the rows of `worlds`; flat where too little overlaps."""
        values, shares, slopes = self._metric.values_and_derivatives(self._to_voxel @ worlds @ self._to_world)
        by_world = self._to_voxel_transposed @ slopes @ self._to_world.T
        if min(shares.tolist(), default=1.0) >= LEAST_OVERLAP:
            return values, by_world
        enough = shares >= LEAST_OVERLAP
        return np.where(enough, values, self._metric.worst), by_world * enough[:, None, None]

    def minimise_on_backend(
        self,
        parameters: AffineParameters,
        starts: NDArray[np.float64],
        options: BfgsOptions,
        on_step: Callable[[int, float], None],
    ) -> NDArray[np.float64] | None:
        """Parameters (S, size) that BFGS on the backend finds, see `Backend.minimise_affine`; None where it has none.

        The map of parameters p from start S is ``S matrix(p)``. None too where they are no family of the backend's.
        """
        family = parameters.family(self._to_voxel @ starts, self._to_world)
        if family is None:
            return None
        return self._metric.backend.minimise_affine(self._metric.inputs, family, options, on_step)


def affine_objective(fixed: PyramidLevel, moving: PyramidLevel, options: Linear) -> AffineObjective:
    """The metric of `options` between two levels, on sample points in and around the fixed foreground."""
    backend = fixed.backend
    points = sample_points(fixed, options.samples, rim=RIM * fixed.spacing)
    samples = Samples(points, backend.sample_at(fixed.array, points), moving.array, backend, moving.mask)
    return AffineObjective(LINEAR_METRICS[options.metric](samples, options), fixed.grid, moving.grid)
