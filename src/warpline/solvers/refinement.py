"""The last touch of linear registration: squared local correlation, reweighted from round to round."""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy import ndimage

from warpline.backends import Backend
from warpline.metrics.local_correlation import LocalCorrelation, Sigma, local_correlation, normalise_locally
from warpline.solvers.comparison import Comparison, Level, sample_points
from warpline.transforms import Affine

WINDOW = 2.5
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

    def around(self, affine: Affine) -> Comparison:
        """The comparison whose slope at `affine` is that of the sum of squared local correlations."""
        fixed, moving = self._volumes
        matrix = self._fixed.grid.voxel_map_to(self._moving.grid, affine.matrix)
        warped = self._backend.sample(self._backend.upload(moving), matrix, shape=fixed.shape)
        agreement = local_correlation(fixed, self._backend.download(warped), self._sigma(self._fixed), self._backend)
        weighted = ndimage.map_coordinates(fixed * agreement, self._points.T, order=1, mode="nearest")
        metric = LocalCorrelation(
            self._points, weighted.astype(np.float32), moving, backend=self._backend, mask=self._moving.mask
        )
        return Comparison(metric, self._fixed.grid, self._moving.grid)

    def _normalised(self, level: Level) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        contrast = float(level.volume[level.foreground()].std(dtype=np.float64))
        volume = normalise_locally(level.volume, self._sigma(level), contrast, self._backend)
        return volume if level.mask is None else np.where(level.mask > 0, volume, np.float32(0))

    def _sigma(self, level: Level) -> Sigma:
        """The window in voxels of the level; none along axes of one voxel."""
        thick = np.array(level.grid.shape) > 1
        return cast(Sigma, tuple(float(s) for s in np.where(thick, self._width / level.grid.voxel_size, 0.0)))
