"""Intensities as the solvers want them: background 0, range about 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[tuple[int, int, int], tuple[int, int, int]]


@dataclass(frozen=True)
class Normalised:
    """A volume scaled for registration.

    Parameters
    ----------
    volume : (I, J, K) float32
        (image - background) / range.
    has_background : bool
        Whether the outer faces are a constant, so that nothing is lost by taking it to continue outside.
    """

    volume: NDArray[np.float32]
    has_background: bool

    def content_box(self) -> Box:
        """First and one-past-last voxel of what differs from the background; the whole grid without one."""
        if not self.has_background:
            return (0, 0, 0), self.volume.shape
        content = self.volume != 0
        spans = [np.flatnonzero(content.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        return tuple(int(s[0]) for s in spans), tuple(int(s[-1]) + 1 for s in spans)  # type: ignore[return-value]

    def is_whole(self) -> bool:
        """Whether the content ends before the grid does, so that background surrounds it on every side."""
        start, stop = self.content_box()
        ends = zip(start, stop, self.volume.shape, strict=True)
        return self.has_background and all(n == 1 or (first > 0 and last < n) for first, last, n in ends)


def normalise(data: NDArray[np.generic], mask: NDArray[np.generic] | None = None) -> Normalised:
    """Shift the background to 0 and scale the 99.5th percentile of the rest to 1.

    The background is the most common value of the outer faces when at least 90 % of them have it;
    otherwise the smallest value is taken and the image counts as having none. With a mask (I, J, K), only what it
    marks sets the range.
    """
    faces = _faces(data)
    values, counts = np.unique(faces, return_counts=True)
    has_background = bool(counts.max() >= 0.9 * faces.size)
    background = values[counts.argmax()] if has_background else data.min()
    volume = np.subtract(data, background, dtype=np.float64).astype(np.float32)
    counted = volume != 0 if mask is None else (volume != 0) & (mask != 0)
    content = np.abs(volume[counted])
    if content.size:
        rank = min(int(0.995 * content.size), content.size - 1)
        volume /= np.partition(content, rank)[rank]
    return Normalised(np.ascontiguousarray(volume), has_background)


def _faces(data: NDArray[np.generic]) -> NDArray[np.generic]:
    ends = [np.take(data, (0, -1), axis=axis).ravel() for axis in range(data.ndim) if data.shape[axis] > 1]
    return np.concatenate(ends)
