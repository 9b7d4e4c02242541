"""Mean squared difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpline.backends import Array, Backend
from warpline.metrics.level_images import LevelImage, intensities
from warpline.metrics.newton import newton_step

VARIANCE = 1.0
"""Variance of a difference in a Gauss-Newton step: that of two unrelated images whose range is about 1. With less,
steps in flat regions are longer, and fold."""


@dataclass(frozen=True)
class MeanSquares:
    """Mean of (fixed - moving)^2, for images of equal contrast.

    Parameters
    ----------
    newton : int
        Alternations of a Gauss-Newton step, see `newton_step`; with 0 the forces are the gradient of the value.
    sigma : float
        Smoothing of the updates, in voxels, which the step anticipates.
    """

    newton: int = 0
    sigma: float = 0.0

    @property
    def smallest_axis(self) -> int:
        """An inner voxel with two neighbours, for the gradient."""
        return 3

    @property
    def is_replayable(self) -> bool:
        """Yes: nothing waits for the device."""
        return True

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """Both images (2, I, J, K)."""
        return intensities(sides, backend)

    def forces(
        self,
        images: Array,
        forces: Array,
        value: Array,
        *,
        mask: Array | None,
        backend: Backend,
    ) -> None:
        """Write the force on either image of (fixed, moving), and the value: `Backend.squared_difference`."""
        backend.squared_difference(
            images[0], images[1], mask=mask, out_fixed=forces[0], out_moving=forces[1], value=value
        )
        for side, other in ((0, 1), (1, 0)) if self.newton else ():
            self._step(images[side], images[other], mask, backend, out=forces[side])

    def _step(self, image: Array, other: Array, mask: Array | None, backend: Backend, *, out: Array) -> None:
        """Write a Gauss-Newton step in place of the gradient."""
        counted = None if mask is None else np.greater(mask, 0, out=backend.empty(mask.shape, np.bool_))
        residual = np.subtract(other, image, out=backend.empty(image.shape))
        if counted is not None:
            residual *= counted
        gradients = backend.gradient(image, out=backend.empty(out.shape))
        newton_step(
            residual, gradients, variance=VARIANCE, alternations=self.newton, sigma=self.sigma, backend=backend, out=out
        )
        if mask is not None:
            out *= np.maximum(mask, np.float32(0), out=residual)
