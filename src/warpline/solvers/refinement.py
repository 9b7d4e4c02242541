"""The last touch of linear registration: squared local correlation, reweighted from round to round."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from warpline.backends import Backend
from warpline.metrics.local_correlation import LocalCorrelation, Sigma, local_correlation, normalise_locally
from warpline.solvers.comparison import Comparison, Level, sample_points
from warpline.transforms import Affine

WINDOW = 3.0
"""Standard deviation of the window, in voxels of the fixed level."""


class Refinement:
    """Two images on one level, normalised locally once, and compared around any affine map.

    Parameters
    ----------
    fixed, moving : Level
        The images at the finest level.
    samples : int
        Most sample points, all within the fixed foreground.
    backend : Backend
        Where the metric is computed.
    """

    def __init__(self, fixed: Level, moving: Level, samples: int, backend: Backend) -> None:
        self._fixed, self._moving, self._backend = fixed, moving, backend
        self._points = sample_points(fixed, samples, rim=0.0)
        self._width = WINDOW * fixed.spacing
        self._volumes = [self._normalised(level) for level in (fixed, moving)]

    def coherence(self, affine: Affine) -> float:
        """Whether local correlations c agree in sign over the fixed foreground: ``|sum c |c|| / sum c^2``, 0 to 1."""
        agreement = self._agreement(affine)[self._fixed.foreground()].astype(np.float64)
        signed = float((agreement * np.abs(agreement)).sum())
        return abs(signed) / max(float(np.square(agreement).sum()), 1e-300)

    def around(self, affine: Affine) -> Comparison:
        """The comparison whose slope at `affine` is that of the sum of squared local correlations."""
        fixed, moving = self._volumes
        weighted = ndimage.map_coordinates(
            fixed * self._agreement(affine), self._points.T, order=1, mode="nearest", output=np.float32
        )
        metric = LocalCorrelation(self._points, weighted, moving, backend=self._backend, mask=self._moving.mask)
        return Comparison(metric, self._fixed.grid, self._moving.grid)

    def agreement(self, affine: Affine) -> float:
        """Mean squared local correlation over the fixed foreground."""
        return float(np.square(self._agreement(affine)[self._fixed.foreground()]).mean())

    def _agreement(self, affine: Affine) -> NDArray[np.float32]:
        """Local correlation at every voxel of the fixed level."""
        fixed, moving = self._volumes
        matrix = self._fixed.grid.voxel_map_to(self._moving.grid, affine.matrix)
        warped = self._backend.sample(self._backend.upload(moving), matrix, shape=fixed.shape)
        return local_correlation(fixed, self._backend.download(warped), self._sigma(self._fixed), self._backend)

    def _normalised(self, level: Level) -> NDArray[np.float32]:
        contrast = float(level.volume[level.foreground()].std(dtype=np.float64))
        return normalise_locally(level.volume, self._sigma(level), contrast, backend=self._backend, mask=level.mask)

    def _sigma(self, level: Level) -> Sigma:
        """The window in voxels of the level; none along axes of one voxel."""
        thick = np.array(level.grid.shape) > 1
        return cast(Sigma, tuple(float(s) for s in np.where(thick, self._width / level.grid.voxel_size, 0.0)))
