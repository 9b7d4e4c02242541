"""The noise of an image: how much of it there is, and more of it added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpline.backends import Array, Backend
from warpline.images.intensity import CLIPPED

MEDIAN_OF_NORMAL = 0.6744898
"""Median of the absolute value of a normal variable with a standard deviation of 1."""


def noise_level(volume: Array, backend: Backend) -> float:
    """Standard deviation of the white noise of a volume, where it is not 0.

    The median of absolute differences taken along every axis in turn, the finest diagonal band of a Haar transform, in
    which little but noise is left (Donoho and Johnstone 1994, doi:10.1093/biomet/81.3.425). Noise that was smoothed,
    as by resampling, is underestimated.

    Parameters
    ----------
    volume : (I, J, K) float32
        An image whose background is 0, on the backend.
    backend : Backend
        Where it is.

    Returns
    -------
    float
        In the unit of the volume; 0 where no two neighbours differ from the background.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.backends import select
    >>> noisy = 1 + np.random.default_rng(0).normal(0, 0.05, (32, 32, 32)).astype(np.float32)
    >>> round(noise_level(noisy, select("numpy")), 2)
    0.05
    """
    inside = (volume != 0).astype(np.uint8)
    scale = 1.0
    for axis in (axis for axis in range(3) if volume.shape[axis] > 1):
        first, second = _neighbours(axis)
        volume, inside, scale = volume[second] - volume[first], inside[second] * inside[first], scale * np.sqrt(2)
    differing = backend.statistics(volume, 0.5, mask=inside)
    return float(differing[2]) / (MEDIAN_OF_NORMAL * float(scale))


def with_noise(volume: Array, level: float, seeds: Sequence[int], backend: Backend) -> Array:
    """A copy of a normalised volume with white normal noise added where it is not 0.

    Parameters
    ----------
    volume : (I, J, K) float32
        An image whose background is 0 and range about 1, on the backend.
    level : float
        Standard deviation of the noise, in the unit of the volume.
    seeds : sequence of int
        Of the random numbers, which are drawn on the host: they are the same for every backend.
    backend : Backend
        Where the volume is.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.backends import select
    >>> halves = np.zeros((2, 2, 1), np.float32)
    >>> halves[0] = 1
    >>> noisy = with_noise(halves, 0.1, (0, 1), select("numpy"))
    >>> noisy[1].any(), (noisy[0] != 1).all()
    (np.False_, np.True_)
    """
    noise = np.random.default_rng(tuple(seeds)).standard_normal(volume.shape, dtype=np.float32)
    noisy = backend.upload(noise)
    noisy *= np.float32(level)
    noisy *= volume != 0
    noisy += volume
    noisy.clip(-CLIPPED, CLIPPED, out=noisy)
    return noisy


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All voxels but the last ones along an axis, and all but the first ones."""
    before, after = [slice(None)] * 3, [slice(None)] * 3
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return tuple(before), tuple(after)
