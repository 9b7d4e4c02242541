"""Similarity of images and overlap of labels, with ANTsPy's names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from warpline import evaluation, operations
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.space import Affine

_NEIGHBOURHOOD = 2
"""Radius in voxels of ITK's windows."""


def image_similarity(
    fixed_image: Any,
    moving_image: Any,
    metric_type: str = "MeanSquares",
    fixed_mask: Any = None,
    moving_mask: Any = None,
    sampling_strategy: str | None = None,
    sampling_percentage: float = 1.0,
) -> float:
    """Distance of two images as they lie in world space; smaller is more alike, as in ITK.

    Parameters
    ----------
    fixed_image, moving_image : nibabel image, path, Image or (array, affine)
        3-D volumes; the moving one is interpolated linearly at the voxels of the fixed one.
    metric_type : str
        A key of `SIMILARITIES`.
    fixed_mask, moving_mask : like the images, optional
        Above 0 where voxels count.
    sampling_strategy, sampling_percentage
        Without effect: every voxel counts once, as with ANTsPy's strategy "None"; its "regular" moves points at random.

    Returns
    -------
    float
        Over the voxels of the fixed image that lie inside the moving one and the masks.

    Raises
    ------
    UsageError
        When the metric is not offered.
    InputError
        When the images do not overlap, or a mask leaves nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> image = np.arange(64, dtype=np.float32).reshape(4, 4, 4), np.eye(4)
    >>> ants.image_similarity(image, image, "MeanSquares")
    0.0
    """
    if metric_type not in SIMILARITIES:
        raise UsageError(f"metric_type is {metric_type!r}; choose from {', '.join(SIMILARITIES)}")
    fixed, moving = operations.read(fixed_image, "fixed_image"), operations.read(moving_image, "moving_image")
    inside = _warped_mask(Image(np.ones(moving.grid.shape, np.uint8), moving.grid, moving.name), fixed)
    if fixed_mask is not None:
        inside &= np.greater(operations.read(fixed_mask, "fixed_mask").data, 0)
    if moving_mask is not None:
        inside &= _warped_mask(operations.read(moving_mask, "moving_mask"), fixed)
    if not inside.any():
        raise InputError(f"no voxel of {fixed.name} lies inside {moving.name} and the masks")
    seen = operations.apply(moving, fixed.grid, Affine.identity())
    return SIMILARITIES[metric_type](fixed, seen, Image(inside.astype(np.uint8), fixed.grid, "the common part"))


def _warped_mask(mask: Image, fixed: Image) -> NDArray[np.bool_]:
    carried = operations.apply(mask, fixed.grid, Affine.identity(), interpolation="nearest")
    inside: NDArray[np.bool_] = np.greater(carried.data, 0)
    return inside


def _mean_squares(fixed: Image, moving: Image, inside: Image) -> float:
    where = np.greater(inside.data, 0)
    gap = np.subtract(fixed.data[where], moving.data[where], dtype=np.float64)
    return float(np.mean(gap**2))


def _correlation(fixed: Image, moving: Image, inside: Image) -> float:
    return -(evaluation.similarity(fixed, moving, inside).ncc ** 2)


def _neighbourhood(fixed: Image, moving: Image, inside: Image) -> float:
    """ITK's mean over windows, of which those without contrast in either image count as alike."""
    even = np.zeros(fixed.grid.shape, bool)
    for image in (fixed, moving):
        values = np.asarray(image.data, np.float64)
        highest, lowest = (
            windows(values, 2 * _NEIGHBOURHOOD + 1, mode="nearest") for windows in (maximum_filter, minimum_filter)
        )
        even |= highest == lowest
    share = float(even[np.greater(inside.data, 0)].mean())
    return -share - evaluation.similarity(fixed, moving, inside, radius=_NEIGHBOURHOOD).local_ncc


SIMILARITIES: dict[str, Callable[[Image, Image, Image], float]] = {
    "MeanSquares": _mean_squares,
    "Demons": _mean_squares,
    "Correlation": _correlation,
    "ANTSNeighborhoodCorrelation": _neighbourhood,
}
"""ITK's names of metrics: mean squared difference, the squared correlation negated, and its mean over windows of five
voxels a side, where a window without contrast counts as 1; one of hardly any contrast counts less than in ITK. Mutual
information, whose value depends on ITK's windows and points, is not offered."""


def label_overlap_measures(source_image: Any, target_image: Any) -> Any:
    """Overlap of two label images, label by label and all together.

    Parameters
    ----------
    source_image, target_image : nibabel image, path, Image or (array, affine)
        Whole numbers on one grid; 0 is no label.

    Returns
    -------
    pandas.DataFrame
        A row called "All" and one for each label of either image, with ITK's columns. S and T are the voxels of the
        label in source and target, B those that both share: ``TotalOrTargetOverlap`` = B / T, ``UnionOverlap`` =
        B / (S + T - B) (Jaccard), ``MeanOverlap`` = 2 B / (S + T) (Dice), ``VolumeSimilarity`` = 2 (S - T) / (S + T),
        ``FalseNegativeError`` = (T - B) / T, and ``FalsePositiveError``, the share of S - B in what is not T. NaN where
        a share is of nothing.

    Raises
    ------
    InputError
        When grids differ or values are not whole numbers.
    UsageError
        When pandas is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import ants
    >>> labels = np.zeros((4, 4, 4), np.uint8)
    >>> labels[:2] = 1
    >>> ants.label_overlap_measures((labels, np.eye(4)), (labels, np.eye(4)))["MeanOverlap"].tolist()
    [1.0, 1.0]
    """
    source, target = operations.read(source_image, "source_image"), operations.read(target_image, "target_image")
    rows = evaluation.label_counts(source, target)
    voxels = source.data.size
    first, second, both = (sum(counts[n] for counts in rows.values()) for n in range(3))
    measured: list[dict[str, Any]] = [{"Label": "All", **_measures(first, second, both, voxels * len(rows))}]
    measured += [{"Label": label, **_measures(*counts, voxels)} for label, counts in rows.items()]
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        raise UsageError("label_overlap_measures gives a table and needs pandas: pip install pandas") from None
    frame = pandas.DataFrame(measured)
    frame["Label"] = frame["Label"].astype(object)
    return frame


def _measures(source: int, target: int, both: int, voxels: int) -> dict[str, float]:
    return {
        "TotalOrTargetOverlap": _share(both, target),
        "UnionOverlap": _share(both, source + target - both),
        "MeanOverlap": _share(2 * both, source + target),
        "VolumeSimilarity": _share(2 * (source - target), source + target),
        "FalseNegativeError": _share(target - both, target),
        "FalsePositiveError": _share(source - both, voxels - target),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
