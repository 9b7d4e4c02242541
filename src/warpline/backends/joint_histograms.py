"""Mutual information of joint histograms, for the CPU backends: of sample points, and of whole volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Doubles = NDArray[np.float64]


def mutual_information(joint: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Negative mutual information (S,) of joint histograms (S, bins, bins), totals (S,), tables of derivatives.

    ``-sum p(f, m) log(p(f, m) / (p(f) p(m)))`` in nats, 0 for an empty histogram. ``tables[s, f, m]`` is its derivative
    by an entry of the histogram; the total and the fixed histogram are taken for constant.
    """
    totals = joint.sum(axis=(1, 2))
    some = np.where(totals > 0, totals, 1.0)[:, None, None]
    product = joint.sum(axis=2)[:, :, None] * joint.sum(axis=1)[:, None, :] / some
    ratio = np.where(joint > 0, joint, 1.0) / np.where(joint > 0, product, 1.0)
    tables = -np.log(ratio) / some
    return (joint * tables).sum(axis=(1, 2)), totals, tables


FRACTIONS = 256
"""Parts of a bin that counts tell apart: those of a voxel add up to the square of it."""


def information_of_volumes(counts: NDArray[np.int64]) -> tuple[float, Doubles]:
    """Negative mutual information of two volumes, and the table S of `Backend.mutual_information_forces`.

    Parameters
    ----------
    counts : (bins, bins)
        Of the fixed value by the moving one, shared out linearly between the two bins that a value lies between; the
        outermost bins are empty.
    """
    values, totals, tables = mutual_information(_windowed(counts.astype(np.float64))[None])
    return float(values[0]), _windowed(-totals[0] * tables[0])


def _windowed(table: Doubles) -> Doubles:
    """A table under the cubic B-spline along both axes; what lies beyond it is 0."""
    for axis in (0, 1):
        table = correlate1d(table, (1 / 6, 2 / 3, 1 / 6), axis=axis, mode="constant")
    return table
