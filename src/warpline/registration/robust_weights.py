"""Weights learnt from the images: little where one image shows what the other does not, such as a lesion.

Each image is predicted from the grey values of the other one, see `warpline.registration.contrast`, both ways: a bright
lesion has grey values of its own, from which tissue is predicted well, but tissue does not predict the lesion. A place
counts by the squares of the residuals around it, in units of their median: fully where they are usual, hardly where
they stand out (iteratively reweighted, as Black and Rangarajan 1996, doi:10.1007/BF00131148, but with a steeper
weight). All of a brain that is not aligned yet has large residuals, and so a large median.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.registration.contrast import LEAST_SAMPLES, SAMPLES, mean_curve, through_curve
from warpline.space.grid import Grid

REACH = 5.0
"""Standard deviation in mm of the Gaussian around a place in which residuals are averaged, at least a voxel."""
OUTLYING = 4.0
"""Times their median at which residuals leave a weight of a half. Of aligned brains 99 % of the places
stay below 2.5, lesions of 14 mm radius reach 5."""
FAINT = np.float32(0.05)
"""Grey values, about 1 at the brightest, up to which both images show background."""
TINY = 1e-12


def robust_weights(images: Array, grid: Grid, backend: Backend, mask: Array | None = None) -> Array:
    """Weights (I, J, K) float32 of places where two images lie on each other.

    Parameters
    ----------
    images : (2, I, J, K) float32
        Fixed and moving on `grid`, background 0.
    mask : (I, J, K) bool, optional
        Only places where it is true decide what is usual.
    """
    inside = (abs(images[0]) > FAINT) | (abs(images[1]) > FAINT)
    if mask is not None:
        inside &= mask
    values = _samples(images, inside, backend)
    outlying = backend.zeros(grid.shape)
    for n in (0, 1) if values.shape[1] >= LEAST_SAMPLES else ():
        predicted = through_curve(images[1 - n], mean_curve(values[1 - n], values[n]), backend)
        np.maximum(outlying, _residuals(predicted - images[n], inside, grid, backend), out=outlying)
    outlying /= np.float32(OUTLYING)
    outlying *= outlying
    outlying *= outlying
    outlying += np.float32(1)
    return np.float32(1) / outlying


def weights_of_result(
    fixed: Image, warped: Image, backend: Backend, *, fixed_mask: Image | None = None, seen: Image | None = None
) -> Image:
    """Weights of the places of a fixed image, by a moving one that was warped onto it, on its grid.

    Parameters
    ----------
    fixed, warped : Image
        On one grid.
    fixed_mask, seen : Image, optional
        On that grid, not 0 where the fixed image counts, and where the warped one shows the moving one.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.backends import select
    >>> from warpline.registration.robust_weights import weights_of_result
    >>> image = Image.from_array(np.random.default_rng(0).uniform(1, 2, (16, 16)))
    >>> weights_of_result(image, image, select("numpy")).data.shape
    (16, 16, 1)
    """
    with backend.session():
        still, moved = normalise(fixed, backend, fixed_mask), normalise(warped, backend, seen)
        images = backend.empty((2, *fixed.grid.shape))
        images[0], images[1] = still.volume, moved.volume
        masks = [image.mask != 0 for image in (still, moved) if image.mask is not None]
        inside = None if not masks else masks[0] & masks[-1]
        weights = backend.download(robust_weights(images, fixed.grid, backend, inside))
    return Image(weights, fixed.grid, "robust weights")


def _sigmas(grid: Grid) -> tuple[float, float, float]:
    """Standard deviations of `REACH` in voxels of a grid."""
    sigmas = [max(REACH / edge, 1.0) if n > 1 else 0.0 for edge, n in zip(grid.voxel_size, grid.shape, strict=True)]
    return sigmas[0], sigmas[1], sigmas[2]


def _residuals(residual: Array, inside: Array, grid: Grid, backend: Backend) -> Array:
    """Squares of the residuals around every place, in units of their median."""
    squares = backend.smooth(residual * residual * inside, _sigmas(grid))
    usual = backend.statistics(squares, 0.5, mask=inside.astype(np.uint8), out=backend.empty((4,), np.float64))
    squares /= np.maximum(usual[2:3], TINY).astype(np.float32)
    return squares


def _samples(images: Array, inside: Array, backend: Backend) -> NDArray[np.float32]:
    """Grey values (2, n) of both images at the same places, on the host."""
    every = (slice(None), *(slice(None, None, max(1, round(np.cbrt(inside.size / SAMPLES)))),) * 3)
    both = backend.empty((3, *inside.shape))
    both[:2] = images
    both[2] = inside
    found = backend.download(both[every].copy()).reshape(3, -1)
    return found[:2, found[2] > 0]
