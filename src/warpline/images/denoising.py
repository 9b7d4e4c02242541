"""Noise removed by non-local means, which DIPY computes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import thread_count
from warpline.errors import UsageError
from warpline.extras import install_command

PATCH_RADIUS, SEARCH_RADIUS = 1, 2
"""Of the patches that are compared, and of the window in which they are looked for, in voxels; ANTs has the same."""

OLDEST = (1, 12)
"""The first version of DIPY with a choice of methods."""

FLAT_FACTOR = math.sqrt(21 / 10)
"""By which DIPY's estimate of the noise is too low for one slice, whose neighbours across are itself."""

INSTALL = install_command("denoise")


@dataclass(frozen=True, eq=False)
class Denoised:
    """An image without its noise.

    Parameters
    ----------
    volume : (I, J, K) float32
        Its intensities.
    sigma : float
        Standard deviation of the noise that was taken away, in the unit of the intensities.
    rician : bool
        Whether the noise was taken for that of magnitude images, whose intensities are never below 0.
    """

    volume: NDArray[np.float32] = field(repr=False)
    sigma: float
    rician: bool


def denoise_nlmeans(
    volume: NDArray[Any],
    inside: NDArray[np.bool_],
    *,
    patch_radius: int = PATCH_RADIUS,
    search_radius: int = SEARCH_RADIUS,
    rician: bool | None = None,
    threads: int | None = None,
) -> Denoised:
    """Replace each voxel by the mean of voxels in alike patches (Descoteaux et al. 2008).

    Parameters
    ----------
    volume : (I, J, K)
        The image.
    inside : (I, J, K) bool
        Where it is changed.
    patch_radius, search_radius : int
        Of patches, and of the window around a voxel in which they are looked for, in voxels.
    rician : bool, optional
        Whether the noise is Rician; when None, if no intensity is below 0.
    threads : int, optional
        CPU threads, as in `warpline.backends.thread_count`; the result does not depend on them.

    Raises
    ------
    UsageError
        When DIPY is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0, 5, (12, 12, 12))
    >>> denoised = denoise_nlmeans(100 + noise, np.ones((12, 12, 12), bool))
    >>> bool(np.std(denoised.volume) < 0.5 * np.std(noise))
    True
    """
    nlmeans, estimate_sigma = _dipy()
    values = volume.astype(np.float32)
    sigma = FLAT_FACTOR ** values.shape.count(1) * float(estimate_sigma(values)[0])
    chosen = bool(values.min() >= 0) if rician is None else rician
    if sigma == 0:
        return Denoised(values, sigma, chosen)
    # DIPY reads beyond axes that are shorter than a window: those are continued by their last slices.
    reach = patch_radius + search_radius
    widths = [(reach, reach) if n <= 2 * reach else (0, 0) for n in values.shape]
    own = tuple(slice(before, before + n) for (before, _), n in zip(widths, values.shape, strict=True))
    lowest = min(float(values.min()), 0.0)  # DIPY averages squares, and so takes off the sign
    smoothed = nlmeans(
        np.pad(values - lowest, widths, mode="edge"),
        sigma=sigma,
        mask=np.pad(inside, widths),
        patch_radius=patch_radius,
        block_radius=search_radius,
        rician=chosen,
        num_threads=thread_count(threads),
        method="classic",  # the other method, blockwise, has other bits on every run with several threads
    )[own]
    return Denoised(np.where(inside, smoothed + lowest, values).astype(np.float32), sigma, chosen)


def _dipy() -> tuple[Any, Any]:
    try:
        from dipy.denoise.nlmeans import nlmeans
        from dipy.denoise.noise_estimate import estimate_sigma
    except ImportError:
        raise UsageError(f"denoising is done by DIPY, which is not installed; {INSTALL}, or leave it out") from None
    installed = version("dipy")
    if tuple(int(part) for part in installed.split(".")[:2]) < OLDEST:
        raise UsageError(f"denoising needs DIPY 1.12 or newer, and {installed} is installed; {INSTALL}")
    return nlmeans, estimate_sigma
