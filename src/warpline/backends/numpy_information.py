"""Mutual information of two volumes and its forces, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.host_backend import Doubles
from warpline.backends.joint_histograms import FRACTIONS, information_of_volumes

Span = tuple[float, float]
Counted = NDArray[np.bool_] | None


def information_and_slopes(
    fixed: Array, moving: Array, bins: int, span: Span, counted: Counted
) -> tuple[float, Doubles, Doubles]:
    """Negative mutual information, and the slope of S by the fixed and the moving value at every voxel.

    See `warpline.backends.similarity.SimilarityOperations.mutual_information_forces`; only voxels that are `counted`
    enter the histogram.
    """
    scale = (bins - 3) / (span[1] - span[0])
    (rows, f), (columns, m) = (_bins(image, bins, span[0], scale) for image in (fixed, moving))
    value, table = information_of_volumes(_counts((rows, f), (columns, m), bins, counted))
    corners = [table[rows + a, columns + b] for a in (0, 1) for b in (0, 1)]
    by_fixed = (1 - m) * (corners[2] - corners[0]) + m * (corners[3] - corners[1])
    by_moving = (1 - f) * (corners[1] - corners[0]) + f * (corners[3] - corners[2])
    return value, scale * by_fixed * _feels(fixed, span), scale * by_moving * _feels(moving, span)


def _bins(image: Array, bins: int, low: float, scale: float) -> tuple[NDArray[np.intp], Doubles]:
    """The bin below every value, and how far it lies above, in bins."""
    at = np.clip((np.asarray(image, np.float64) - low) * scale + 1, 1, bins - 2)
    below = np.minimum(at.astype(np.intp), bins - 3)
    return below, at - below


def _counts(
    fixed: tuple[NDArray[np.intp], Doubles], moving: tuple[NDArray[np.intp], Doubles], bins: int, counted: Counted
) -> NDArray[np.int64]:
    whole = (slice(None),) if counted is None else counted
    (rows, f), (columns, m) = ((below[whole].ravel(), _parts(above[whole].ravel())) for below, above in (fixed, moving))
    counts = np.zeros(bins * bins, np.int64)
    for row, f_share in ((rows, FRACTIONS - f), (rows + 1, f)):
        for column, m_share in ((columns, FRACTIONS - m), (columns + 1, m)):
            np.add.at(counts, row * bins + column, f_share * m_share)
    return counts.reshape(bins, bins)


def _parts(fraction: Doubles) -> NDArray[np.int64]:
    return np.floor(fraction * FRACTIONS + 0.5).astype(np.int64)


def _feels(image: Array, span: Span) -> NDArray[np.bool_]:
    """Whether a value lies between the ends of the span."""
    return (image > span[0]) & (image < span[1])
