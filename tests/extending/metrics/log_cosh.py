"""Logarithm of the hyperbolic cosine of the difference: quadratic near 0, linear far away."""

from __future__ import annotations

import numpy as np

from warpline.backends import Array, Backend
from warpline.metrics.level_images import LevelImage, intensities


class LogCosh:
    """Mean of ``log cosh(fixed - moving)``."""

    smallest_axis = 3
    is_replayable = False

    def features(self, sides: tuple[LevelImage, LevelImage], backend: Backend) -> Array:
        """Both images."""
        return intensities(sides, backend)

    def forces(self, images: Array, forces: Array, value: Array, *, mask: Array | None, backend: Backend) -> None:
        """Write the value, and its negative slope by either image's motion."""
        counted = 1.0 if mask is None else mask > 0
        for image, other, force in zip(images, images[::-1], forces, strict=True):
            residual = backend.saturated_difference(other, image, out=backend.empty(image.shape))
            force[...] = residual * counted * backend.gradient(image)
        value[0] = np.mean(np.log(np.cosh(images[0] - images[1])) * counted)
