"""From two half-maps to one map and its inverse, without folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline import fields
from warpline.backends import Array, Backend

MEAN_LIMIT, P99_LIMIT = 0.05, 0.25
"""Bars for the inverse error, in voxels."""

LEAST_JACOBIAN = 0.01
"""A determinant at or below this counts as about to fold and is mended."""

REPAIRS = 8
"""Most rounds of local smoothing."""

REPAIR_SIGMA = 1.0
REPAIR_REACH = 3.0
"""Smoothing of a repair, and of the weight with which it fades out, in voxels."""


@dataclass(frozen=True)
class Quality:
    """How invertible a map is; folds and errors inside the mask, both directions, in voxels.

    Parameters
    ----------
    folds : float
        Share of voxels with det J <= 0.
    folded_voxels : int
        Their number.
    jacobian_min, jacobian_max : float
        Range of det J.
    inverse_error_mean, inverse_error_p99, inverse_error_max : float
        Round-trip error; the worse direction.
    repairs : int
        Rounds of local smoothing that were needed.
    """

    folds: float
    folded_voxels: int
    jacobian_min: float
    jacobian_max: float
    inverse_error_mean: float
    inverse_error_p99: float
    inverse_error_max: float
    repairs: int = 0

    @property
    def is_invertible(self) -> bool:
        """No folds, and inverse errors below the bars."""
        return (
            self.jacobian_min > 0 and self.inverse_error_mean <= MEAN_LIMIT and self.inverse_error_p99 <= P99_LIMIT
        )


@dataclass(frozen=True)
class InvertibleMap:
    """Displacement fields (3, I, J, K) in voxels of one grid, and what was measured on them."""

    forward: Array
    inverse: Array
    quality: Quality


def make_invertible(
    to_fixed: Array, to_moving: Array, mask: NDArray[np.bool_], backend: Backend
) -> InvertibleMap:
    """Join half-maps into the map fixed -> moving and its inverse, smoothing where they would fold.

    Parameters
    ----------
    to_fixed, to_moving : (3, I, J, K)
        Displacements from the middle, in voxels of one grid.
    mask : (I, J, K) bool
        Where the bars for folds and inverse error must hold.

    Notes
    -----
    ``forward(x) = v1(x) + u2(x + v1(x))`` with v1 the inverse of u1 = `to_fixed`. Where a fold or a residual remains,
    the half-maps are blended with their own Gaussian, in a few voxels around the trouble, and joined again.
    """
    for repairs in range(REPAIRS + 1):
        joined = _join(to_fixed, to_moving, backend)
        quality, trouble = _measure(*joined, mask, repairs, backend)
        if not trouble.any() or repairs == REPAIRS:
            return InvertibleMap(*joined, quality)
        weight = _around(trouble, backend)
        to_fixed, to_moving = (_blended(half, weight, backend) for half in (to_fixed, to_moving))
    raise AssertionError("unreachable")


def _join(to_fixed: Array, to_moving: Array, backend: Backend) -> tuple[Array, Array]:
    from_fixed, _ = fields.invert(to_fixed, backend)
    forward = backend.compose(to_moving, from_fixed, out=backend.empty(to_fixed.shape))
    from_moving, _ = fields.invert(to_moving, backend)
    start = backend.compose(to_fixed, from_moving, out=from_fixed)
    inverse, _ = fields.invert(forward, backend, start)
    return forward, inverse


def _measure(
    forward: Array, inverse: Array, mask: NDArray[np.bool_], repairs: int, backend: Backend
) -> tuple[Quality, NDArray[np.bool_]]:
    """Quality inside the mask, and the voxels (anywhere) that fold or whose round trip misses."""
    jacobians = [backend.download(backend.jacobian(field)) for field in (forward, inverse)]
    determinant = jacobians[0][mask]
    errors = [
        fields.inverse_error(*pair, backend, mask) for pair in ((forward, inverse), (inverse, forward))
    ]
    worst = [max(getattr(error, name) for error in errors) for name in ("mean", "p99", "largest")]
    folded = int((determinant <= 0).sum())
    quality = Quality(
        folded / max(determinant.size, 1), folded, float(determinant.min()), float(determinant.max()), *worst, repairs
    )
    return quality, (jacobians[0] <= LEAST_JACOBIAN) | (jacobians[1] <= LEAST_JACOBIAN)


def _around(trouble: NDArray[np.bool_], backend: Backend) -> Array:
    """1 in and next to trouble, falling smoothly to 0."""
    weight = backend.empty(trouble.shape)
    backend.smooth(backend.upload(trouble.astype(np.float32)), (REPAIR_REACH,) * 3, out=weight)
    # A single voxel keeps about (2 pi sigma^2)^(-3/2) of its height; a tenth of that already means "near".
    height = (2 * np.pi * REPAIR_REACH**2) ** -1.5
    return (weight / np.float32(height)).clip(0, 1)


def _blended(half: Array, weight: Array, backend: Backend) -> Array:
    smoothed = backend.empty(half.shape)
    backend.smooth(half, (REPAIR_SIGMA,) * 3, out=smoothed)
    return half + weight * (smoothed - half)
