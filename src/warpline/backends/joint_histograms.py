"""Mutual information of joint histograms, for the CPU backends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
