"""Refinement of the affine map: squared local correlation, maximised by iterative reweighting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array
from warpline.metrics import Samples
from warpline.metrics.normalised_product import NormalisedProduct, Sigma, correlation_map, normalise_locally
from warpline.registration.objective import AffineObjective
from warpline.registration.pyramid import PyramidLevel
from warpline.registration.sample_points import sample_points
from warpline.space import Affine
from warpline.space.grid import Grid

WINDOW = 3.0
"""Standard deviation of the window, in voxels of the fixed level; narrower correlates noise, wider is global."""


@dataclass(frozen=True, eq=False)
class LocalCorrelation:
    """Local correlation of two images under an affine map.

    Parameters
    ----------
    affine : Affine
        Fixed world to moving world.
    correlation : (I, J, K) float32
        Local correlation c at every voxel of the fixed level, on the backend.
    mean_square : float
        Mean of c^2 over the fixed foreground.
    coherence : float
        Sign coherence, whether c has one sign there: ``sum c |c| / sum c^2``, -1 to 1.
    """

    affine: Affine
    correlation: Array
    mean_square: float
    coherence: float


class LocalCorrelationObjective:
    """Squared local correlation of two images on one level, which are normalised locally once.

    It is maximised in rounds: each minimises a linear metric whose derivative at the current map is that of the sum of
    squared local correlations, with the weights of that map.

    Parameters
    ----------
    fixed, moving : PyramidLevel
        The images at the finest level.
    samples : int
        Most sample points, all within the fixed foreground.
    """

    def __init__(self, fixed: PyramidLevel, moving: PyramidLevel, samples: int) -> None:
        self._backend, self._grids = fixed.backend, (fixed.grid, moving.grid)
        self._points = sample_points(fixed, samples, rim=0.0)
        self._foreground = fixed.foreground
        self._fixed_mask, self._mask, self._arrays = fixed.mask, moving.mask, (fixed.array, moving.array)
        self._width = WINDOW * fixed.spacing
        self._size, *contrasts = self._size_and_contrasts(fixed, moving)
        self._volumes = [self._normalise(*one) for one in zip((fixed, moving), contrasts, strict=True)]

    def at(self, affine: Affine) -> LocalCorrelation:
        """Local correlation under a map."""
        (fixed, moving), (grid, other) = self._volumes, self._grids
        warped = self._backend.sample(moving, grid.voxel_map_to(other, affine.matrix), shape=grid.shape)
        correlation = correlation_map(fixed, warped, self._sigma(grid), self._backend)
        signed = correlation * abs(correlation) * self._foreground
        squares, balance = (float(total) for _, total, _ in self._sums(abs(signed), signed))
        return LocalCorrelation(affine, correlation, squares / self._size, balance / max(squares, 1e-300))

    def correlations(self, *affines: Affine) -> list[float]:
        """The correlation of the intensities of the images under each map, over the fixed grid, or its mask."""
        (fixed, moving), (grid, other) = self._arrays, self._grids
        volumes = [fixed]
        for affine in affines:
            warped = self._backend.sample(moving, grid.voxel_map_to(other, affine.matrix), shape=grid.shape)
            volumes += [warped, fixed * warped]
        of_fixed, *others = self._sums(*volumes, mask=self._fixed_mask)
        return [_correlation(of_fixed, *pair) for pair in zip(others[::2], others[1::2], strict=True)]

    def linearised_at(self, current: LocalCorrelation) -> AffineObjective:
        """The objective whose derivative at a map is that of the sum of squared local correlations."""
        fixed, moving = self._volumes
        weighted = self._backend.sample_at(fixed * current.correlation, self._points)
        samples = Samples(self._points, weighted, moving, self._backend, self._mask)
        return AffineObjective(NormalisedProduct(samples), *self._grids)

    def _sums(self, *volumes: Array, mask: Array | None = None) -> NDArray[np.float64]:
        """`Backend.sums` of each (N, 3), with one host synchronisation."""
        sums = self._backend.zeros((len(volumes), 3), np.float64)
        for row, volume in enumerate(volumes):
            self._backend.sums(volume, mask=mask, out=sums[row])
        return self._backend.download(sums)

    def _size_and_contrasts(self, *levels: PyramidLevel) -> tuple[float, ...]:
        """Voxels of the foreground of the first level, and the standard deviation there of each."""
        measured = self._backend.zeros((len(levels), 3), np.float64)
        for row, level in enumerate(levels):
            self._backend.sums(level.array, mask=level.foreground, out=measured[row])
        sums = self._backend.download(measured)
        return sums[0, 0], *(math.sqrt(max(ss / n - (s / n) ** 2, 0.0)) for n, s, ss in sums)

    def _normalise(self, level: PyramidLevel, contrast: float) -> Array:
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
