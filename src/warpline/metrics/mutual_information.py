"""Mutual information of two images under an affine map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.geometry import Matrix

PADDING = 2
"""Empty bins on either side, room for the Parzen window."""


class MutualInformation:
    """Negative mutual information after Mattes et al. 2003, doi:10.1109/TMI.2003.809072.

    ``-sum p(f, m) log(p(f, m) / (p(f) p(m)))`` in nats, over the points that fall into the moving image: a box window
    in the fixed value, a cubic B-spline window in the moving one, so that it is differentiable.

    Parameters
    ----------
    points : (N, 3) float32
        Sample points, voxels of the fixed grid.
    values : (N,) float32
        Fixed intensities there.
    volume : (I, J, K) float32
        Moving image.
    backend : Backend
        Where it is computed; all arrays come from the host.
    mask : (I, J, K) uint8, optional
        Points that land where it is 0 are left out.
    bins : int
        Bins of the joint histogram along either axis.
    """

    worst = 0.0
    """The value without any overlap."""

    def __init__(
        self,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        volume: NDArray[np.float32],
        *,
        backend: Backend,
        mask: NDArray[np.uint8] | None = None,
        bins: int = 32,
    ) -> None:
        self._backend = backend
        self._bins = bins
        self._points = backend.upload(points)
        self._values = backend.upload(_binned(values, values, bins))
        self._volume = backend.upload(_binned(volume, volume if mask is None else volume[mask > 0], bins))
        self._mask: Array | None = None if mask is None else backend.upload(mask)

    def value(self, matrix: Matrix) -> tuple[float, float]:
        """Value, and share of the points that overlap, at a fixed voxel to moving voxel `matrix` (4, 4)."""
        value, count, _ = self._information(matrix)
        return value, count / len(self._points)

    def value_and_derivative(self, matrix: Matrix) -> tuple[float, float, Matrix]:
        """Value, share of the points that overlap, and derivative (3, 4) by the entries of `matrix`."""
        value, count, table = self._information(matrix)
        slope = self._backend.histogram_derivative(
            self._points, self._values, self._volume, matrix, table, mask=self._mask
        )
        return value, count / len(self._points), slope

    def _information(self, matrix: Matrix) -> tuple[float, float, Matrix]:
        """Value, number of points, and derivative of the value by the entries of the joint histogram.

        The number of points and the fixed histogram are constant under small motions; the derivative leaves them out.
        """
        joint = self._backend.joint_histogram(
            self._points, self._values, self._volume, matrix, self._bins, mask=self._mask
        )
        count = float(joint.sum())
        if count < 1:
            return self.worst, 0.0, np.zeros_like(joint)
        product = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / count
        ratio = np.where(joint > 0, joint, 1.0) / np.where(joint > 0, product, 1.0)
        table = -np.log(ratio) / count
        return float((joint * table).sum()), count, table


def _binned(values: NDArray[np.float32], reference: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """Values in units of bins, the range of `reference` spread over the bins inside the padding."""
    low, high = float(reference.min()), float(reference.max())
    scale = (bins - 1 - 2 * PADDING) / max(high - low, 1e-30)
    binned: NDArray[np.float32] = (values - np.float32(low)) * np.float32(scale) + np.float32(PADDING)
    return binned.clip(PADDING, bins - 1 - PADDING)
