"""Mutual information of two images under an affine map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.affine_search import MetricInputs
from warpline.metrics.samples import Samples, value_range

PADDING = 2
"""Empty bins on either side: the reach of the Parzen window."""


class MutualInformation:
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

    worst = 0.0
    """The value without any overlap."""

    def __init__(self, samples: Samples, bins: int = 32) -> None:
        moving, mask = samples.volume, samples.mask
        self._bins = bins
        self._samples = replace(
            samples,
            values=_binned(samples.values, None, bins),
            volume=_binned(moving, None if mask is None else mask > 0, bins),
        )

    @property
    def backend(self) -> Backend:
        """The backend of its arrays."""
        return self._samples.backend

    @property
    def inputs(self) -> MetricInputs:
        """Arrays and formula, for a backend that searches by itself."""
        return self._samples.inputs("mutual_information", self._bins)

    def values(self, matrices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values, and shares of the points that overlap, at fixed voxel to moving voxel `matrices` (S, 4, 4)."""
        found = self._samples.mutual_information(matrices, self._bins, slopes=False)
        return found[:, 0], found[:, 1] / self._samples.count

    def values_and_derivatives(
        self, matrices: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Values, shares of the points that overlap, and derivatives (S, 3, 4) by the entries of `matrices`."""
        found = self._samples.mutual_information(matrices, self._bins, slopes=True)
        return found[:, 0], found[:, 1] / self._samples.count, found[:, 2:].reshape(-1, 3, 4)


def _binned(values: Array, inside: Array | None, bins: int) -> Array:
    """Values in units of bins, the range of those `inside` spread over the bins inside the padding."""
    low, high = value_range(values, inside)
    scale = (bins - 1 - 2 * PADDING) / np.maximum(high - low, 1e-30)
    return ((values - low.astype(np.float32)) * scale.astype(np.float32) + PADDING).clip(PADDING, bins - 1 - PADDING)
