"""Similarity metrics: their options under DIPY's names."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.errors import UsageError

Volume = NDArray[np.float32]


TOTAL_SIGMA = 0.2
"""Smoothing of the whole field, in voxels: DIPY has none and relies on its update smoothing alone; this is the least
with which maps stay invertible."""


CONTRAST_FLOOR = 1e-5
"""DIPY knows none: what is left of it only keeps rounding noise from moving flat regions."""


class SynMetric(Protocol):
    """What `SymmetricDiffeomorphicRegistration` asks a metric for, and where it leaves images for callbacks."""

    dim: int
    static_image: Volume | None
    moving_image: Volume | None

    def options(self) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Syn`."""
        ...


class CCMetric:
    """Squared local cross-correlation in windows of ``2 radius + 1`` voxels.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the images.
    sigma_diff : float
        Gaussian smoothing of each update, in voxels of the level.
    radius : int
        Of the window, in voxels of the level.

    Attributes
    ----------
    static_image, moving_image : array or None
        In a callback: both images on the grid of the level, carried to the middle.

    Raises
    ------
    UsageError
        When `dim` is neither 2 nor 3.
    """

    static_image: Volume | None = None
    moving_image: Volume | None = None

    def __init__(self, dim: int, sigma_diff: float = 2.0, radius: int = 4) -> None:
        self.dim = _checked(dim)
        self.sigma_diff = sigma_diff
        self.radius = radius

    def options(self) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Syn`."""
        return {
            "metric": "local_cc",
            "radius": self.radius,
            "update_sigma": self.sigma_diff,
            "total_sigma": TOTAL_SIGMA,
            "contrast_floor": CONTRAST_FLOOR,
        }


class SSDMetric:
    """Mean of squared differences, followed by gradient steps.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the images.
    smooth : float
        Gaussian smoothing of each update, in voxels of the level.
    inner_iter : int
        Kept for DIPY's signature: it belongs to its Gauss-Newton steps.
    step_type : {"demons"}
        Kind of step.

    Attributes
    ----------
    static_image, moving_image : array or None
        In a callback: both images on the grid of the level, carried to the middle.

    Raises
    ------
    UsageError
        When `dim` is neither 2 nor 3, or the kind of step is not offered.
    """

    static_image: Volume | None = None
    moving_image: Volume | None = None

    def __init__(self, dim: int, smooth: float = 4, inner_iter: int = 10, step_type: str = "demons") -> None:
        if step_type != "demons":
            raise UsageError(f"step_type {step_type!r} is not offered; use 'demons'")
        self.dim = _checked(dim)
        self.smooth = smooth
        self.inner_iter = inner_iter
        self.step_type = step_type

    def options(self) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Syn`."""
        return {"metric": "mean_squares", "update_sigma": self.smooth}


class MutualInformationMetric:
    """Mutual information after Mattes et al. 2003, doi:10.1109/TMI.2003.809072.

    Parameters
    ----------
    nbins : int
        Bins of the joint histogram along either axis.
    sampling_proportion : float in (0, 1], optional
        Share of the static voxels that is compared at each level; None leaves the number to warpline.

    Raises
    ------
    UsageError
        When the share is not in (0, 1].
    """

    def __init__(self, nbins: int = 32, sampling_proportion: float | None = None) -> None:
        if sampling_proportion is not None and not 0 < sampling_proportion <= 1:
            raise UsageError(f"sampling_proportion is {sampling_proportion!r}; a share above 0 and up to 1 is needed")
        self.nbins = nbins
        self.sampling_proportion = sampling_proportion

    def options(self, voxels: int) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Linear` for a static image of so many voxels."""
        if self.sampling_proportion is None:
            return {"metric": "mutual_information", "bins": self.nbins}
        samples = max(int(voxels * self.sampling_proportion), 1000)
        return {"metric": "mutual_information", "bins": self.nbins, "samples": samples}


def _checked(dim: int) -> int:
    if dim not in (2, 3):
        raise UsageError(f"dim is {dim!r}; 2 or 3 is allowed")
    return dim
