"""Whether two registered images have similar contrast, so that their correlation tells how well they fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image

CLASSES = 32
"""Classes of equal size, by rank, of the correlation ratio: their means are the predicted intensities."""

UNLIKE = 0.72
"""Contrasts differ where class means leave less than this share of the variance that a line leaves. T1 of two
brains or heads gave 0.84 to 0.96, also under wrong maps; T1 with T2 and with functional images 0.54 to 0.61."""

LEAST_EXPLAINED = 0.42
"""Correlation of an image with what the grey values of the other predict, where both show an object, from which those
tell something: brains of like and of made contrasts have 0.46 to 0.64, heads in T1, T2 and EPI 0.27 to 0.41, as fat,
fluids and fields share grey values there."""

FEWEST = 2000
"""Voxels below which classes are too small to say anything."""

_SAMPLE = 2**18


@dataclass(frozen=True)
class Contrast:
    """How the intensities of two images that lie on each other depend on each other.

    Parameters
    ----------
    linear_correlation : float
        Pearson correlation, -1 to 1: how well a straight line predicts one image from the other.
    correlation_ratio : float
        The larger of the two correlation ratios (Roche et al. 1998, doi:10.1007/BFb0056301) as its root, 0 to 1: how
        well any function predicts one image from the other.
    """

    linear_correlation: float
    correlation_ratio: float

    @property
    def is_alike(self) -> bool:
        """Whether a line that rises predicts about as much as any function does."""
        return 1 - self.correlation_ratio**2 >= UNLIKE * (1 - max(self.linear_correlation, 0.0) ** 2)

    @property
    def is_predictable(self) -> bool:
        """Whether grey values of either image tell something of those of the other, see `LEAST_EXPLAINED`."""
        return self.correlation_ratio >= LEAST_EXPLAINED


def contrast_of(first: Image, second: Image, where: Image) -> Contrast | None:
    """Compare the intensities of two images on one grid where a mask is not 0; None where too few differ."""
    inside = where.data != 0
    values = [np.asarray(image.data[inside], np.float64) for image in (first, second)]
    step = max(1, values[0].size // _SAMPLE)
    a, b = (value[::step] for value in values)
    if a.size < FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    linear = float(np.corrcoef(a, b)[0, 1])
    return Contrast(linear, math.sqrt(max(_ratio(a, b), _ratio(b, a), linear**2)))


def _ratio(known: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Share of the variance of `predicted` (N,) that means of classes of `known` explain, less that of chance."""
    edges = np.unique(np.quantile(known, np.linspace(0, 1, CLASSES + 1)[1:-1]))
    which = np.searchsorted(edges, known, side="right")
    counts = np.bincount(which)
    sums = np.bincount(which, predicted)
    means = (sums / np.maximum(counts, 1))[which]
    left = float(np.square(predicted - means).mean()) / float(predicted.var())
    return 1 - left * (known.size - 1) / (known.size - np.count_nonzero(counts))
