"""Similarity of two images before and after registration, whatever their size and whether they are images or labels.

Within the object a mask, or any image of one value, has nothing to correlate: it differs from its surroundings only. So
images of many values are compared in the object, those of few values in the object and its surroundings.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from warpline.backends import Backend
from warpline.evaluation.contrast import Contrast, contrast_of
from warpline.evaluation.measures import WINDOW_RADIUS, extent, similarity
from warpline.evaluation.row_bands import RowBands
from warpline.images import Image
from warpline.images.foreground import above_lowest, foreground_mask

_MARGIN = 0.25
"""Share of the sides of the box around the object by which it is widened."""

_SAMPLES = 2**17
"""Voxels of an image whose values are counted."""

_MAX_LABELS = 32
"""Values that an image of labels has at most, among a sample of its object."""

_PLATEAU = 0.5
"""Share of the object that has one value, from which on an image is taken for a mask with soft edges."""


def measure_similarity(
    fixed: Image, moving: Image, warped: Image, mask: Image | None = None, *, outside: float = 0.0, backend: Backend
) -> dict[str, Any]:
    """Correlation with the fixed image before and after registration, see `warpline.evaluation.similarity`.

    Masks, labels and other images of few values have nothing to correlate within their object: they are compared in the
    box around the fixed one, a quarter wider on each side, and in small windows at its edges. Of large images only some
    bands of rows are measured, see `warpline.evaluation.row_bands`.

    Parameters
    ----------
    fixed : Image
        Where all are compared.
    moving : Image
        Before registration; it is resampled onto the fixed grid by the headers alone.
    warped : Image
        The result, on the fixed grid.
    mask : Image, optional
        Voxels other than 0 count; without it, the foreground of the fixed image, see `warpline.images.foreground`.
    outside : float
        Value beyond the moving image.
    backend : Backend
        Where the arithmetic runs.

    Returns
    -------
    dict
        ``similarity``: ``before`` and ``after``, each ``ncc`` and ``local_ncc``; ``measured``: the share of the voxels
        that these are of; ``contrast``: ``line``, the linear correlation, ``curve``, the
        correlation ratio, ``is_alike`` and ``is_predictable`` of `warpline.evaluation.contrast.Contrast`; None for
        images of few values.
    """
    few = mask is None and (_has_few_values(fixed) or _has_few_values(moving))
    inside = foreground_mask(fixed) if mask is None else mask.data != 0
    if not inside.any():
        inside = above_lowest(fixed)
    where = _surroundings(fixed) if few else Image(inside, fixed.grid)
    bands = RowBands.of(where)
    target, region = bands.image(fixed), bands.mask(where)
    before, after = bands.resampled(moving, outside=outside, backend=backend), bands.image(warped)
    compare = _compare_shapes if few else _compare_intensities
    contrast = None if few else contrast_of(target, after, region)
    return {
        "similarity": {
            name: compare(target, image, region, backend) for name, image in (("before", before), ("after", after))
        },
        "measured": bands.share,
        "contrast": None if contrast is None else _contrast_record(contrast),
    }


def _contrast_record(contrast: Contrast) -> dict[str, Any]:
    measured = {"line": contrast.linear_correlation, "curve": contrast.correlation_ratio}
    return {**measured, "is_alike": contrast.is_alike, "is_predictable": contrast.is_predictable}


def _compare_intensities(fixed: Image, image: Image, region: Image, backend: Backend) -> dict[str, float]:
    return asdict(similarity(fixed, image, region, backend=backend))


def _compare_shapes(fixed: Image, image: Image, region: Image, backend: Backend) -> dict[str, float]:
    whole = similarity(fixed, image, region, backend=backend)
    edges = similarity(fixed, image, _edges(fixed, region), radius=WINDOW_RADIUS, backend=backend)
    return {"ncc": whole.ncc, "local_ncc": edges.local_ncc}


def _has_few_values(image: Image) -> bool:
    """Whether an image is a mask or labels, by the values of its object."""
    step = max(1, image.data.size // _SAMPLES)
    values = image.data.ravel()[::step]
    inside = values[values > image.data.min()]
    counts = np.unique(inside, return_counts=True)[1]
    return bool(counts.size <= _MAX_LABELS or counts.max() >= _PLATEAU * inside.size)


def _surroundings(image: Image) -> Image:
    """The box around the object, a quarter wider on each side, as a mask on the image's grid."""
    inside = above_lowest(image)
    box = np.zeros(image.grid.shape, bool)
    spans = []
    for axis in range(3):
        low, high = extent(inside, axis)
        margin = max(2, int(_MARGIN * (high - low)))
        spans.append(slice(max(low - margin, 0), high + margin))
    box[tuple(spans)] = True
    return Image(box, image.grid, f"the surroundings of {image.name}")


def _edges(image: Image, region: Image) -> Image:
    """Where in a region the small windows of an image hold more than one value; the whole region where none does."""
    size = [min(2 * WINDOW_RADIUS + 1, n) for n in image.grid.shape]
    data: NDArray[np.float64] = image.data.astype(np.float64)
    varied = (maximum_filter(data, size, mode="nearest") != minimum_filter(data, size, mode="nearest")) & region.data
    return Image(varied if varied.any() else region.data, image.grid, f"the edges of {image.name}")
