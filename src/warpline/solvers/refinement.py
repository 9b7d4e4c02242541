"""The last touch of linear registration: squared local correlation, reweighted from round to round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array
from warpline.geometry import Grid
from warpline.metrics import Samples
from warpline.metrics.local_correlation import LocalCorrelation, Sigma, local_correlation, normalise_locally
from warpline.solvers.comparison import Comparison, Level, sample_points
from warpline.transforms import Affine

WINDOW = 3.0
"""Standard deviation of the window, in voxels of the fixed level."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """How two images agree under an affine map.

    Parameters
    ----------
    affine : Affine
        Fixed world to moving world.
    correlation : (I, J, K) float32
        Local correlation c at every voxel of the fixed level, on the backend.
    mean : float
        Mean of c^2 over the fixed foreground.
    coherence : float
        Whether c has one sign there: ``sum c |c| / sum c^2``, -1 to 1.
    """

    affine: Affine
    correlation: Array
    mean: float
    coherence: float


class Refinement:
    """Two images on one level, normalised locally once, and compared around any affine map.

    Parameters
    ----------
    fixed, moving : Level
        The images at the finest level.
    samples : int
        Most sample points, all within the fixed foreground.
    """

    def __init__(self, fixed: Level, moving: Level, samples: int) -> None:
        self._backend, self._grids = fixed.backend, (fixed.grid, moving.grid)
        self._points = sample_points(fixed, samples, rim=0.0)
        self._foreground = fixed.foreground
        self._size = self._backend.sums(fixed.array, mask=self._foreground)[0]
        self._fixed_mask, self._mask, self._arrays = fixed.mask, moving.mask, (fixed.array, moving.array)
        self._width = WINDOW * fixed.spacing
        self._volumes = [self._normalised(level) for level in (fixed, moving)]

    def at(self, affine: Affine) -> Agreement:
        """How the images agree under a map."""
        (fixed, moving), (grid, other) = self._volumes, self._grids
        warped = self._backend.sample(moving, grid.voxel_map_to(other, affine.matrix), shape=grid.shape)
        correlation = local_correlation(fixed, warped, self._sigma(grid), self._backend)
        signed = correlation * abs(correlation) * self._foreground
        squares, balance = (float(self._backend.sums(part)[1]) for part in (abs(signed), signed))
        return Agreement(affine, correlation, squares / self._size, balance / max(squares, 1e-300))

    @cached_property
    def _fixed_sums(self) -> NDArray[np.float64]:
        return self._backend.sums(self._arrays[0], mask=self._fixed_mask)

    def correlation(self, affine: Affine) -> float:
        """The correlation of the intensities of the images under a map, over the fixed grid, or its mask."""
        (fixed, moving), (grid, other) = self._arrays, self._grids
        sums = partial(self._backend.sums, mask=self._fixed_mask)
        warped = self._backend.sample(moving, grid.voxel_map_to(other, affine.matrix), shape=grid.shape)
        (n, f, ff), (_, m, mm), (_, fm, _) = self._fixed_sums, sums(warped), sums(fixed * warped)
        spread = (ff - f * f / n) * (mm - m * m / n)
        return float((fm - f * m / n) / math.sqrt(spread)) if spread > 0 else 0.0

    def around(self, agreement: Agreement) -> Comparison:
        """The comparison whose slope at the map of `agreement` is that of the sum of squared local correlations."""
        fixed, moving = self._volumes
        weighted = self._backend.sample_at(fixed * agreement.correlation, self._points)
        samples = Samples(self._points, weighted, moving, self._backend, self._mask)
        return Comparison(LocalCorrelation(samples), *self._grids)

    def _normalised(self, level: Level) -> Array:
        count, total, squares = self._backend.sums(level.array, mask=level.foreground)
        contrast = math.sqrt(max(squares / count - (total / count) ** 2, 0.0))
        return normalise_locally(level.array, self._sigma(level.grid), contrast, backend=self._backend, mask=level.mask)

    def _sigma(self, grid: Grid) -> Sigma:
        """The window in voxels of a grid; none along axes of one voxel."""
        thick = np.array(grid.shape) > 1
        return cast(Sigma, tuple(float(s) for s in np.where(thick, self._width / grid.voxel_size, 0.0)))
