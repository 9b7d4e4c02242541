"""The last touch of linear registration: squared local correlation, reweighted from round to round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array
from warpline.geometry import Grid
from warpline.metrics import Samples
from warpline.metrics.normalised_product import NormalisedProduct, Sigma, correlation_map, normalise_locally
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
        self._fixed_mask, self._mask, self._arrays = fixed.mask, moving.mask, (fixed.array, moving.array)
        self._width = WINDOW * fixed.spacing
        self._size, *contrasts = self._measured(fixed, moving)
        self._volumes = [self._normalised(*one) for one in zip((fixed, moving), contrasts, strict=True)]

    def at(self, affine: Affine) -> Agreement:
        """How the images agree under a map."""
        (fixed, moving), (grid, other) = self._volumes, self._grids
        warped = self._backend.sample(moving, grid.voxel_map_to(other, affine.matrix), shape=grid.shape)
        correlation = correlation_map(fixed, warped, self._sigma(grid), self._backend)
        signed = correlation * abs(correlation) * self._foreground
        squares, balance = (float(total) for _, total, _ in self._sums(abs(signed), signed))
        return Agreement(affine, correlation, squares / self._size, balance / max(squares, 1e-300))

    def correlations(self, *affines: Affine) -> list[float]:
        """The correlation of the intensities of the images under each map, over the fixed grid, or its mask."""
        (fixed, moving), (grid, other) = self._arrays, self._grids
        volumes = [fixed]
        for affine in affines:
            warped = self._backend.sample(moving, grid.voxel_map_to(other, affine.matrix), shape=grid.shape)
            volumes += [warped, fixed * warped]
        of_fixed, *others = self._sums(*volumes, mask=self._fixed_mask)
        return [_correlation(of_fixed, *pair) for pair in zip(others[::2], others[1::2], strict=True)]

    def around(self, agreement: Agreement) -> Comparison:
        """The comparison whose slope at the map of `agreement` is that of the sum of squared local correlations."""
        fixed, moving = self._volumes
        weighted = self._backend.sample_at(fixed * agreement.correlation, self._points)
        samples = Samples(self._points, weighted, moving, self._backend, self._mask)
        return Comparison(NormalisedProduct(samples), *self._grids)

    def _sums(self, *volumes: Array, mask: Array | None = None) -> NDArray[np.float64]:
        """`Backend.sums` of each (N, 3), for which the host waits once."""
        found = self._backend.zeros((len(volumes), 3), np.float64)
        for row, volume in enumerate(volumes):
            self._backend.sums(volume, mask=mask, out=found[row])
        return self._backend.download(found)

    def _measured(self, *levels: Level) -> tuple[float, ...]:
        """Voxels of the foreground of the first level, and the standard deviation there of each."""
        found = self._backend.zeros((len(levels), 3), np.float64)
        for row, level in enumerate(levels):
            self._backend.sums(level.array, mask=level.foreground, out=found[row])
        sums = self._backend.download(found)
        return sums[0, 0], *(math.sqrt(max(ss / n - (s / n) ** 2, 0.0)) for n, s, ss in sums)

    def _normalised(self, level: Level, contrast: float) -> Array:
        return normalise_locally(level.array, self._sigma(level.grid), contrast, backend=self._backend, mask=level.mask)

    def _sigma(self, grid: Grid) -> Sigma:
        """The window in voxels of a grid; none along axes of one voxel."""
        thick = np.array(grid.shape) > 1
        return cast(Sigma, tuple(float(s) for s in np.where(thick, self._width / grid.voxel_size, 0.0)))


def _correlation(fixed: NDArray[np.float64], moving: NDArray[np.float64], product: NDArray[np.float64]) -> float:
    """From the sums of two images and of their product."""
    (n, f, ff), (_, m, mm), (_, fm, _) = fixed, moving, product
    spread = (ff - f * f / n) * (mm - m * m / n)
    return float((fm - f * m / n) / math.sqrt(spread)) if spread > 0 else 0.0
