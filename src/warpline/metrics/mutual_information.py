"""Mutual information of two images under an affine map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpline.backends import Array
from warpline.metrics.samples import Doubles, LinearMetric, Samples, value_range

PADDING = 2
"""Empty bins on either side: the reach of the Parzen window."""


class MutualInformation(LinearMetric):
    """Negative mutual information after Mattes et al. 2003, doi:10.1109/TMI.2003.809072.

    ``-sum p(f, m) log(p(f, m) / (p(f) p(m)))`` in nats, over the points that fall into the moving image: a box window
    in the fixed value, a cubic B-spline window in the moving one, so that it is differentiable.

    Parameters
    ----------
    samples : Samples
        Fixed points and moving image.
    bins : int
        Bins of the joint histogram along either axis.
    """

    formula = "mutual_information"

    def __init__(self, samples: Samples, bins: int = 32) -> None:
        inside = None if samples.mask is None else samples.mask > 0
        values, volume = _binned(samples.values, None, bins), _binned(samples.volume, inside, bins)
        super().__init__(replace(samples, values=values, volume=volume))
        self.bins = bins

    def values(self, matrices: Doubles) -> tuple[Doubles, Doubles]:
        """Values, and shares of the points that overlap, at fixed voxel to moving voxel `matrices` (S, 4, 4)."""
        found = self._samples.mutual_information(matrices, self.bins, slopes=False)
        return found[:, 0], found[:, 1] / self._samples.count

    def values_and_derivatives(self, matrices: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""
        found = self._samples.mutual_information(matrices, self.bins, slopes=True)
        return found[:, 0], found[:, 1] / self._samples.count, found[:, 2:].reshape(-1, 3, 4)


def _binned(values: Array, inside: Array | None, bins: int) -> Array:
    """Values in units of bins, the range of those `inside` spread over the bins inside the padding."""
    low, high = value_range(values, inside)
    scale = (bins - 1 - 2 * PADDING) / np.maximum(high - low, 1e-30)
    return ((values - low.astype(np.float32)) * scale.astype(np.float32) + PADDING).clip(PADDING, bins - 1 - PADDING)
