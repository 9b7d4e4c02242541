"""Fits of series in plain NumPy; see `warpline.backends.motion.MotionOperations`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from warpline.backends import scipy_splines
from warpline.backends.arrays import Array
from warpline.backends.motion import CUBIC, Doubles, Placement
from warpline.backends.numpy_points import transform
from warpline.backends.voxel_coordinates import clamp

Smooth = Callable[[Array, tuple[float, float, float]], Array]
"""`Backend.smooth` of a volume."""


def smoothed_coefficients(
    volumes: Array, sigma: tuple[float, float, float], smooth: Smooth, threads: int
) -> NDArray[np.float64]:
    """See `MotionOperations.coefficients`; volume by volume."""
    out = np.empty(volumes.shape, np.float64)
    for volume, to in zip(volumes, out, strict=True):
        to[...] = scipy_splines.spline_coefficients(smooth(volume, sigma), CUBIC, threads)
    return out


class NumpyMotion:
    """Operations of `MotionOperations`, documented there.

    Parameters
    ----------
    smooth : callable
        `Backend.smooth`.
    """

    def __init__(self, smooth: Smooth) -> None:
        self._smooth = smooth

    def coefficients(self, volumes: Array, sigma: tuple[float, float, float]) -> Array:
        return smoothed_coefficients(volumes, sigma, self._smooth, 1)

    def sums(
        self,
        coefficients: Array,
        points: Array,
        rows: Array,
        placement: Placement,
        *,
        weights: Array | None = None,
        values: Array,
    ) -> Doubles:
        low, high = placement.bounds.T[..., None]
        found = []
        for n, (volume, matrix) in enumerate(zip(placement.volumes, placement.matrices, strict=True)):
            where = transform(matrix, np.asarray(points, np.float64).T)
            inside = ((where >= low) & (where <= high)).all(axis=0)
            there = clamp(where, coefficients.shape[1:])
            v = map_coordinates(coefficients[volume], there, order=3, mode="mirror", prefilter=False)
            values[n] = np.where(inside, v, np.nan)
            w = inside if weights is None else inside * weights[n].astype(np.float64)
            v = values[n].astype(np.float64)
            v[~inside] = 0
            found.append([*((w * v) @ rows), w @ v**2, w.sum(), inside.sum()])
        return np.array(found, np.float64).reshape(len(found), -1)

    def gram(self, rows: Array, values: Array, *, weights: Array | None = None) -> Doubles:
        counts = ~np.isnan(values) * (1.0 if weights is None else weights.astype(np.float64))
        return np.einsum("bn,np,nq->bpq", counts, rows.astype(np.float64), rows.astype(np.float64), optimize=True)

    def residuals(self, values: Array, rows: Array, solutions: Doubles) -> NDArray[np.float32]:
        left = values - solutions @ rows.T.astype(np.float64)
        return np.nan_to_num(left, nan=0.0).astype(np.float32)
