"""Mean and standard deviation of volumes that come one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.space.grid import Shape


class RunningStatistics:
    """Mean and standard deviation by Welford's update: accurate, and no volume is kept.

    Parameters
    ----------
    shape : (I, J, K)
        Of every volume.
    """

    def __init__(self, shape: Shape) -> None:
        self.count = 0
        self._mean = np.zeros(shape, np.float64)
        self._squares = np.zeros(shape, np.float64)

    def add(self, volume: NDArray[Any]) -> None:
        """Count one more volume (I, J, K), slab by slab."""
        self.count += 1
        for mean, squares, values in zip(self._mean, self._squares, volume, strict=True):
            before = values - mean
            mean += before / self.count
            before *= values - mean
            squares += before

    def mean(self) -> NDArray[np.float32]:
        """The mean (I, J, K)."""
        return self._mean.astype(np.float32)

    def deviation(self) -> NDArray[np.float32]:
        """The standard deviation of the sample (I, J, K), over n - 1; zeros for a single volume."""
        return np.sqrt(self._squares / max(self.count - 1, 1)).astype(np.float32)
