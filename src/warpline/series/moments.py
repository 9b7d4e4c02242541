"""Mean and standard deviation over the volumes of a series, of which one is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from warpline.images import Image
from warpline.io.series_files import Floats
from warpline.space.grid import Grid


class Moments:
    """Sums over volumes that pass.

    Parameters
    ----------
    grid : Grid
        Of the volumes.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.series.moments import Moments
    >>> from warpline.space.grid import Grid
    >>> found = Moments(Grid((1, 1, 1), np.eye(4)))
    >>> for volume in found.passing(np.full((1, 1, 1), value, np.float32) for value in (1, 3)):
    ...     pass
    >>> float(found.mean.data[0, 0, 0]), float(found.deviation.data[0, 0, 0])
    (2.0, 1.0)
    """

    def __init__(self, grid: Grid) -> None:
        self._grid, self._count = grid, 0
        self._mean, self._squares = np.zeros(grid.shape), np.zeros(grid.shape)

    def passing(self, volumes: Iterable[Floats]) -> Iterator[Floats]:
        """The same volumes; they are counted on the way (Welford's update)."""
        for volume in volumes:
            self._count += 1
            apart = volume - self._mean
            self._mean += apart / self._count
            self._squares += apart * (volume - self._mean)
            yield volume

    @property
    def mean(self) -> Image:
        """Mean of each voxel, (I, J, K) float32."""
        return Image(self._mean.astype(np.float32), self._grid.bare)

    @property
    def deviation(self) -> Image:
        """Standard deviation of each voxel, (I, J, K) float32."""
        squares = np.sqrt(self._squares / max(self._count, 1))
        return Image(squares.astype(np.float32), self._grid.bare)
