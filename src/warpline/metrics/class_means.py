"""Images of different contrast, compared by the mean that each grey-value class of one has in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.metrics.level_images import LevelImage, intensities
from warpline.metrics.newton import clear_faces, newton_step

LEAST_DEVIATION = 0.02
"""Least standard deviation of a class, for intensities scaled to about 1; with less, classes of few voxels dominate."""


@dataclass(frozen=True)
class ClassMeans:
    """Mean squared difference of either image from what the grey values of the other one predict in it.

    After Arce-Santana et al. 2014 (doi:10.1016/j.media.2013.10.007): the grey values of an image are its classes, and
    the means and variances of the other image in each class are estimated anew in every iteration (expectation), then
    held while both images move (maximisation). Between the classes, predictions are linear.

    Parameters
    ----------
    classes : int
        Number of grey-value classes of each image, evenly spaced over its range.
    newton : int
        Alternations of a Gauss-Newton step, see `newton_step`; with 0 the forces are the gradient of the value.
    sigma : float
        Smoothing of the updates, in voxels, which the step anticipates.
    """

    classes: int = 256
    newton: int = 0
    sigma: float = 0.0

    @property
    def smallest_axis(self) -> int:
        """An inner voxel with two neighbours, for the gradient."""
        return 3

    @property
    def is_replayable(self) -> bool:
        """No: sums over classes are looked at."""
        return False

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
        """Write the force on either image of (fixed, moving), and the value."""
        counted = None if mask is None else mask > 0
        value[0] = 0.0
        for image, other, force in zip(images, (images[1], images[0]), forces, strict=True):
            residual, variance = predict(other, image, self.classes, counted)
            residual -= image
            if counted is not None:
                residual *= counted
            squares = np.square(residual, dtype=np.float64)
            value[0] += 0.5 * np.mean(squares if mask is None else squares * mask)
            self._force(residual, variance, backend.gradient(image), backend, out=force)
            if mask is not None:
                force *= np.maximum(mask, 0)

    def _force(self, residual: Array, variance: Array, slope: Array, backend: Backend, *, out: Array) -> None:
        if self.newton:
            newton_step(
                residual, slope, variance=variance, alternations=self.newton, sigma=self.sigma, backend=backend, out=out
            )
        else:
            np.multiply(residual, slope, out=out)
            clear_faces(out)


def predict(
    image: NDArray[np.float32], other: NDArray[np.float32], classes: int, counted: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Prediction of `other` from the grey values of `image`, linear between the classes, and its variance.

    Only voxels where `counted` is true enter the means and variances.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.array([0, 0, 1, 1], np.float32).reshape(4, 1, 1)
    >>> predicted, _ = predict(grey, 5 - 2 * grey, 2, None)
    >>> predicted.ravel().tolist()
    [5.0, 5.0, 3.0, 3.0]
    """
    low, high = float(image.min()), float(image.max())
    scale = (classes - 1) / max(high - low, 1e-30)
    labels = ((image - low) * scale + 0.5).astype(np.intp).clip(0, classes - 1)
    whole = slice(None) if counted is None else counted
    inside, values = labels[whole].ravel(), other[whole].ravel().astype(np.float64)
    counts = np.bincount(inside, minlength=classes)
    seen, number = counts > 0, np.maximum(counts, 1)
    greys = np.bincount(inside, image[whole].ravel(), classes) / number
    means = np.bincount(inside, values, classes) / number
    variances = np.bincount(inside, values**2, classes) / number - means**2
    if not seen.any():
        return other.copy(), np.ones_like(other)
    predicted = np.interp(image, greys[seen], means[seen]).astype(np.float32)
    return predicted, np.maximum(variances, LEAST_DEVIATION**2).astype(np.float32)[labels]
