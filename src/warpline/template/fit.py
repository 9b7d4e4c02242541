"""How well each subject fits the others: its weight in the mean, and whether left and right are exchanged in it.

Everything follows from the products of all pairs of subjects, so that every subject is compared with the mean of the
others alone, whatever their weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.io.drafts import writing

LEAST_SPREAD = 0.025
"""Standard deviation of the fits that is taken for ordinary at least: a correlation."""

CUT = 6.0
"""Robust standard deviations below the median at which a weight is 0 (Tukey's biweight)."""

CLEAR = 0.1
"""Correlation of what left and right differ in with that of the others from which on it is clear that they are where
they belong, or where it is negative, that they are exchanged."""

MIN_SUBJECTS = 5
"""Subjects from which on left and right are compared: the mean of fewer others has a chance asymmetry of its own."""

_REPEATS = 3
"""Times that weights and fits follow from each other."""

_BLOCK = 2**16
"""Values of every subject that are multiplied at once."""

_NORMAL = 1.4826
"""Median absolute deviation to standard deviation."""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fits:
    """How all subjects fit, in their order.

    Parameters
    ----------
    fit : (N,)
        Correlation of each with the weighted mean of the others.
    weight : (N,)
        From 0, left out, to 1.
    """

    fit: Values
    weight: Values


def products(rows: Iterable[NDArray[np.floating]], folder: Path, *, centred: bool = True) -> Values:
    """Products (N, N) of all pairs of rows, each scaled to length 1; the rows lie in a temporary file meanwhile.

    Parameters
    ----------
    rows : iterable of (V,)
        Values of each subject at the same places.
    folder : Path
        Where the file lies; it has no name, so that nothing remains of a process that is killed.
    centred : bool
        Whether the mean of each row is taken off first: products are correlations then.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with writing(folder), tempfile.TemporaryFile(dir=folder) as file:
        count = size = 0
        for row in rows:
            unit = row - row.mean(dtype=np.float64) if centred else row.astype(np.float64)
            length = np.sqrt(np.square(unit).sum())
            (unit / length if length > 0 else unit).astype(np.float32).tofile(file)
            count, size = count + 1, row.size
        file.flush()
        table = np.memmap(file, np.float32, "r", shape=(count, size))
        total = np.zeros((count, count))
        for start in range(0, size, _BLOCK):
            block = table[:, start : start + _BLOCK].astype(np.float64)
            total += block @ block.T
    return total


def fits_of(table: Values) -> Fits:
    """Fits and weights from the products of all pairs (N, N)."""
    weight = np.ones(len(table))
    for _ in range(_REPEATS):
        fit = with_the_others(table, weight)
        weight = biweight(fit)
    return Fits(fit, weight)


def with_the_others(table: Values, weight: Values) -> Values:
    """Correlation (N,) of each row with the weighted sum of the other rows, from their products (N, N)."""
    own = np.diag(table)
    shared = table @ weight - own * weight
    whole = weight @ table @ weight
    rest = whole - 2 * weight * (table @ weight) + np.square(weight) * own
    return np.asarray(shared / np.sqrt(np.maximum(rest * np.maximum(own, 1e-12), 1e-12)))


def agreements(tables: Sequence[Values]) -> Values:
    """How every subject agrees with the others (N,), -1 to 1, by products (N, N) of rows that a mirror turns around.

    The mean over the tables of its correlation with the sum of the others. Who disagrees most clearly counts the other
    way round from then on, so that others are not thought exchanged because of it.
    """
    signs = np.ones(len(tables[0]))
    while True:
        found: Values = np.mean([with_the_others(table, signs) for table in tables], axis=0)
        candidates = np.where(signs > 0, found, np.inf)
        worst = int(np.argmin(candidates))
        if candidates[worst] >= -CLEAR or np.count_nonzero(signs < 0) >= len(signs) // 2:
            return found
        signs[worst] = -1


def biweight(fit: Values) -> Values:
    """Tukey's weights (N,) on the side of worse fits: 1 from the median on, 0 from `CUT` deviations below it on."""
    median = np.median(fit)
    spread = max(_NORMAL * float(np.median(np.abs(fit - median))), LEAST_SPREAD)
    distance = np.clip((median - fit) / (CUT * spread), 0.0, 1.0)
    return np.asarray(np.square(1 - np.square(distance)))


def asymmetry(volume: NDArray[np.floating]) -> NDArray[np.floating]:
    """What left and right of a volume (I, J, K) on a grid along world axes differ in, at the voxels of one half."""
    half = volume.shape[0] // 2
    return np.asarray((volume - volume[::-1])[:half] / 2)
