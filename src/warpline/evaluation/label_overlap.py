"""Overlap of label images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.evaluation.measures import check_grid
from warpline.images import Image

_DENSE = 2**16
"""Labels between 0 and this are counted by position; others are sorted first."""


@dataclass(frozen=True)
class Overlap:
    """Dice overlap of two label images, background 0 left out.

    Parameters
    ----------
    dice : dict of int to float
        ``2 |A and B| / (|A| + |B|)`` of every label that both images have.
    mean : float
        Mean of `dice` over its labels.
    missing : tuple of int
        Labels that only one of the images has; they do not enter the mean.

    Examples
    --------
    >>> from warpline.evaluation import Overlap
    >>> Overlap({1: 0.5, 2: 1.0}, mean=0.75, missing=(7,)).dice[2]
    1.0
    """

    dice: dict[int, float]
    mean: float
    missing: tuple[int, ...]


def overlap(fixed_labels: Image, warped_labels: Image) -> Overlap:
    """Dice of every label that both images have, and their mean (Dice 1945, doi:10.2307/1932409).

    Parameters
    ----------
    fixed_labels, warped_labels : Image
        Whole-numbered volumes on the same grid; 64-bit labels are compared exactly.

    Raises
    ------
    InputError
        When the grids differ, a value is not a whole number, or no label is in both images.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.evaluation import overlap
    >>> fixed, warped = (Image.from_array(np.reshape(row, (4, 1, 1))) for row in ([1, 1, 2, 0], [1, 1, 2, 3]))
    >>> overlap(fixed, warped)
    Overlap(dice={1: 1.0, 2: 1.0}, mean=1.0, missing=(3,))
    """
    check_grid(warped_labels, fixed_labels.grid, fixed_labels.name)
    fixed, warped = _whole_numbers(fixed_labels), _whole_numbers(warped_labels)
    in_fixed, in_warped, in_both = _counts(fixed), _counts(warped), _counts(fixed[fixed == warped])
    shared = sorted(in_fixed.keys() & in_warped.keys())
    if not shared:
        raise InputError(
            f"{fixed_labels.name} and {warped_labels.name} have no label in common; "
            "check that both use the same numbering and that the warped labels lie where the fixed ones do"
        )
    dice = {label: 2 * in_both.get(label, 0) / (in_fixed[label] + in_warped[label]) for label in shared}
    return Overlap(dice, sum(dice.values()) / len(dice), tuple(sorted(in_fixed.keys() ^ in_warped.keys())))


def label_counts(source: Image, target: Image) -> dict[int, tuple[int, int, int]]:
    """Voxels of every label but 0 in the source, in the target and in both at one place, labels in ascending order.

    Parameters
    ----------
    source, target : Image
        Whole-numbered volumes on the same grid.

    Raises
    ------
    InputError
        When the grids differ or a value is not a whole number.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.evaluation import label_counts
    >>> fixed, warped = (Image.from_array(np.reshape(row, (4, 1, 1))) for row in ([1, 1, 2, 0], [1, 1, 2, 3]))
    >>> label_counts(fixed, warped)
    {1: (2, 2, 2), 2: (1, 1, 1), 3: (0, 1, 0)}
    """
    check_grid(target, source.grid, source.name)
    first, second = _whole_numbers(source), _whole_numbers(target)
    counts = _counts(first), _counts(second), _counts(first[first == second])
    return {
        label: (counts[0].get(label, 0), counts[1].get(label, 0), counts[2].get(label, 0))
        for label in sorted(counts[0].keys() | counts[1].keys())
    }


def _whole_numbers(labels: Image) -> NDArray[Any]:
    data = labels.data.reshape(-1)
    if data.dtype.kind in "iub":
        return data
    whole = data.astype(np.int64) if data.dtype.kind == "f" and np.isfinite(data).all() else None
    if whole is None or not np.array_equal(whole, data):
        raise InputError(f"{labels.name} holds values that are not whole numbers; a label image is needed")
    return whole


def _counts(labels: NDArray[Any]) -> dict[int, int]:
    """Voxels of every label but 0."""
    labels = labels[labels != 0]
    if labels.size and labels.min() > 0 and labels.max() < _DENSE:
        counts = np.bincount(labels)
        names = np.flatnonzero(counts)
        return dict(zip(names.tolist(), counts[names].tolist(), strict=True))
    names, counts = np.unique(labels, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
