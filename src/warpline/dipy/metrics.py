"""Similarity metrics: their options under DIPY's names."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.errors import UsageError

Volume = NDArray[np.float32]


TOTAL_SIGMA = 0.2
"""Smoothing of the whole field, in voxels: DIPY has none and relies on its update smoothing alone; this is the least
with which maps stay invertible."""


CONTRAST_FLOOR = 1e-5
"""Variance below which a window counts as flat. DIPY has none; without one, rounding noise moves flat regions."""


SWEEPS = 5
"""Sweeps of DIPY's Gauss-Seidel solver, each of which smooths over a voxel, that equal one of our iterations."""

STEP_TYPES = ("demons", "gauss_newton")
"""Kinds of steps of `SSDMetric` and `EMMetric`."""


class SynMetric(Protocol):
    """Options of a metric for `SymmetricDiffeomorphicRegistration`, and the current images for callbacks."""

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

    Examples
    --------
    >>> from warpline.dipy import CCMetric, SymmetricDiffeomorphicRegistration
    >>> registration = SymmetricDiffeomorphicRegistration(CCMetric(3, radius=2), level_iters=[10, 5])
    """

    static_image: Volume | None = None
    moving_image: Volume | None = None

    def __init__(self, dim: int, sigma_diff: float = 2.0, radius: int = 4) -> None:
        self.dim = _check_dimension(dim)
        self.sigma_diff = sigma_diff
        self.radius = radius

    def options(self) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Syn`."""
        return {
            "metric": "local_cc",
            "contrast": "given",
            "radius": self.radius,
            "update_sigma": self.sigma_diff,
            "total_sigma": TOTAL_SIGMA,
            "contrast_floor": CONTRAST_FLOOR,
        }


class SSDMetric:
    """Mean of squared differences, followed by gradient or by Gauss-Newton steps.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the images.
    smooth : float
        With demons, Gaussian smoothing of each update in voxels of the level; with Gauss-Newton, the weight of the
        field's slope, see `newton_sigma`.
    inner_iter : int
        Iterations of each Gauss-Newton step.
    step_type : {"demons", "gauss_newton"}
        Kind of step.

    Attributes
    ----------
    static_image, moving_image : array or None
        In a callback: both images on the grid of the level, carried to the middle.

    Raises
    ------
    UsageError
        When `dim` is neither 2 nor 3, or the kind of step is unknown.

    Examples
    --------
    >>> from warpline.dipy import SSDMetric, SymmetricDiffeomorphicRegistration
    >>> registration = SymmetricDiffeomorphicRegistration(SSDMetric(2), level_iters=[10, 5])
    """

    static_image: Volume | None = None
    moving_image: Volume | None = None

    def __init__(self, dim: int, smooth: float = 4, inner_iter: int = 10, step_type: str = "demons") -> None:
        self.dim = _check_dimension(dim)
        self.smooth = smooth
        self.inner_iter = inner_iter
        self.step_type = _check_step(step_type)

    def options(self) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Syn`."""
        if self.step_type == "demons":
            return {"metric": "mean_squares", "update_sigma": self.smooth}
        return {
            "metric": "mean_squares",
            "newton": newton_turns(self.inner_iter),
            "update_sigma": newton_sigma(self.smooth),
        }


class EMMetric:
    """Difference from what the grey values of the other image predict, for any two contrasts.

    After Arce-Santana et al. 2014, doi:10.1016/j.media.2013.10.007; see `warpline.metrics.class_means`.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the images.
    smooth : float
        As in `SSDMetric`.
    inner_iter : int
        Iterations of each Gauss-Newton step.
    q_levels : int
        Number of grey values (classes) that each image is quantised to.
    double_gradient : bool
        Kept for DIPY's signature: the gradient of each image itself is used.
    step_type : {"gauss_newton", "demons"}
        Kind of step.

    Attributes
    ----------
    static_image, moving_image : array or None
        In a callback: both images on the grid of the level, carried to the middle.

    Raises
    ------
    UsageError
        When `dim` is neither 2 nor 3, or the kind of step is unknown.

    Examples
    --------
    >>> from warpline.dipy import EMMetric, SymmetricDiffeomorphicRegistration
    >>> registration = SymmetricDiffeomorphicRegistration(EMMetric(3, q_levels=64), level_iters=[10, 5])
    """

    static_image: Volume | None = None
    moving_image: Volume | None = None

    def __init__(
        self,
        dim: int,
        smooth: float = 1.0,
        inner_iter: int = 5,
        q_levels: int = 256,
        double_gradient: bool = True,
        step_type: str = "gauss_newton",
    ) -> None:
        self.dim = _check_dimension(dim)
        self.smooth = smooth
        self.inner_iter = inner_iter
        self.q_levels = q_levels
        self.use_double_gradient = double_gradient
        self.step_type = _check_step(step_type)

    def options(self) -> dict[str, Any]:
        """Return entries of `warpline.recipe.Syn`."""
        demons = self.step_type == "demons"
        return {
            "metric": "class_means",
            "classes": int(self.q_levels),
            "newton": 1 if demons else newton_turns(self.inner_iter),
            "update_sigma": self.smooth if demons else newton_sigma(self.smooth),
        }


def newton_turns(inner_iter: int) -> int:
    """Iterations of a Gauss-Newton step for DIPY's inner iterations, see `SWEEPS`."""
    return max(-(-int(inner_iter) // SWEEPS), 1)


def newton_sigma(smooth: float) -> float:
    """Gaussian smoothing in voxels equivalent to DIPY's weight on the gradient of the field in a Gauss-Newton step.

    Its linear system smooths over ``sqrt(smooth) / |g|`` voxels at an image gradient g; this is that length at the
    gradient of an edge of two voxels, 1/2.
    """
    return 2 * math.sqrt(max(smooth, 0.0))


def _check_dimension(dim: int) -> int:
    if dim not in (2, 3):
        raise UsageError(f"dim is {dim!r}; 2 or 3 is allowed")
    return dim


def _check_step(step_type: str) -> str:
    if step_type not in STEP_TYPES:
        raise UsageError(f"step_type {step_type!r} is unknown; choose from {', '.join(STEP_TYPES)}")
    return step_type
