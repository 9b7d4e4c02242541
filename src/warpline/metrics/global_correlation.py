"""Correlation of two whole volumes, for deformable registration of contrasts in a linear relation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpline.backends import Array, Backend
from warpline.metrics.level_images import LevelImage, intensities
from warpline.metrics.newton import clear_faces

LEAST_VARIANCE = 1e-12
"""Variance up to which a volume counts as flat, for intensities scaled to a range of about 1."""


@dataclass(frozen=True)
class GlobalCorrelation:
    """Squared correlation of the grey values, negated: one window of `LocalCC` over everything."""

    @property
    def smallest_axis(self) -> int:
        """An inner voxel with two neighbours, for the gradient."""
        return 3

    @property
    def is_replayable(self) -> bool:
        """No: the sums over the volumes are looked at."""
        return False

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """Both images (2, I, J, K)."""
        return intensities(sides, backend)

    def forces(self, images: Array, forces: Array, value: Array, *, mask: Array | None, backend: Backend) -> None:
        """Write the value, of all voxels of positive weight, and the forces on both images.

        Forces are its derivative times the number of voxels, and the weight.
        """
        counted = None if mask is None else (mask > 0).astype(np.uint8)
        (n, f, ff), (_, m, mm), (_, fm, _) = _sums((images[0], images[1], images[0] * images[1]), counted, backend)
        n = max(n, 1.0)
        f, m = f / n, m / n
        s_ff, s_mm, s_fm = ff / n - f * f, mm / n - m * m, fm / n - f * m
        if s_ff <= LEAST_VARIANCE or s_mm <= LEAST_VARIANCE:
            value.fill(0)
            forces.fill(0)
            return
        value.fill(-s_fm * s_fm / (s_ff * s_mm))
        slope = 2 * s_fm / (s_ff * s_mm)
        for side, (of_moving, of_fixed) in enumerate(((slope, -slope * s_fm / s_ff), (-slope * s_fm / s_mm, slope))):
            factor = images[1] * np.float32(of_moving) + images[0] * np.float32(of_fixed)
            factor -= np.float32(of_moving * m + of_fixed * f)
            if mask is not None:
                factor *= np.maximum(mask, np.float32(0))
            backend.gradient(images[side], out=forces[side])
            forces[side] *= factor
            clear_faces(forces[side])


def _sums(volumes: tuple[Array, ...], counted: Array | None, backend: Backend) -> list[list[float]]:
    """Number of voxels, sum and sum of squares of each, on the host."""
    sums = backend.zeros((len(volumes), 3), np.float64)
    for row, volume in zip(sums, volumes, strict=True):
        backend.sums(volume, mask=counted, out=row)
    found: list[list[float]] = backend.download(sums).tolist()
    return found
