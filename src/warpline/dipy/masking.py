"""Brain masks of diffusion images by median filters and a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from warpline.backends import thread_count
from warpline.errors import UsageError

BINS = 256
"""Bins of the histogram for Otsu's threshold, as in DIPY."""


def median_otsu(
    input_volume: NDArray[Any],
    vol_idx: Sequence[int] | None = None,
    median_radius: int = 4,
    numpass: int = 4,
    autocrop: bool = False,
    dilate: int | None = None,
    finalize_mask: bool = False,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mask the brain: median filters, then a threshold by Otsu's method (1979, doi:10.1109/TSMC.1979.4310076).

    Parameters
    ----------
    input_volume : (I, J, K) or (I, J, K, T)
        Image or series.
    vol_idx : sequence of int, optional
        Volumes of a series whose mean is used; needed for a series.
    median_radius : int
        Of the cubic window, in voxels.
    numpass : int
        How often the filter runs.
    autocrop : bool
        Cut both results to the box around the mask.
    dilate : int, optional
        Steps by which the mask grows through faces of voxels.
    finalize_mask : bool
        Keep the largest piece only and fill its holes.

    Returns
    -------
    masked : like `input_volume`
        Zero outside the mask.
    mask : (I, J, K)
        bool; int where `finalize_mask` changed it, as in DIPY.

    Raises
    ------
    UsageError
        When a series comes without `vol_idx`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.dipy import median_otsu
    >>> head = np.zeros((12, 12, 12))
    >>> head[3:9, 3:9, 3:9] = 100
    >>> masked, mask = median_otsu(head, median_radius=1, numpass=1)
    >>> int(mask.sum())
    160
    """
    volume = np.asarray(input_volume)
    if volume.ndim == 4 and vol_idx is None:
        raise UsageError("input_volume is a series of volumes; give vol_idx, the volumes to average")
    looked_at = volume if volume.ndim < 4 else np.mean(volume[..., tuple(vol_idx or ())], axis=3)
    for _ in range(numpass):
        looked_at = _median(looked_at, median_radius)
    mask: NDArray[Any] = looked_at > _otsu(looked_at)
    if dilate is not None:
        mask = ndimage.binary_dilation(mask, ndimage.generate_binary_structure(3, 1), iterations=dilate)
    if finalize_mask and np.unique(mask).size == 2:
        mask = _solid(mask)
    if autocrop:
        box = (ndimage.find_objects(mask.astype(np.int8)) or [(slice(0, 0),) * 3])[0]
        volume, mask = volume[box], mask[box]
    return volume * mask.reshape(mask.shape + (1,) * (volume.ndim - mask.ndim)), mask


def _median(volume: NDArray[Any], radius: int) -> NDArray[Any]:
    """Filter slabs on all threads; each is extended by the radius, so that the result is that of the whole."""
    filtered = np.empty_like(volume)
    edges = np.linspace(0, len(volume), min(4 * thread_count(), len(volume)) + 1).astype(int)

    def run(start: int, stop: int) -> None:
        first, last = max(start - radius, 0), min(stop + radius, len(volume))
        slab: NDArray[Any] = ndimage.median_filter(volume[first:last], size=2 * radius + 1)
        filtered[start:stop] = slab[start - first : stop - first]

    with ThreadPoolExecutor(thread_count()) as pool:
        list(pool.map(run, edges[:-1].tolist(), edges[1:].tolist()))
    return filtered


def _otsu(values: NDArray[Any]) -> float:
    """Lower edge of the bin whose upper edge parts the values with the largest variance between the classes."""
    counts, edges = np.histogram(values, BINS)
    below = np.cumsum(counts, dtype=float)[:-1]
    above = below[-1] + counts[-1] - below
    mass = np.cumsum(counts * edges[1:])
    gap = mass[:-1] / below - (mass[-1] - mass[:-1]) / above
    return float(edges[np.argmax(below * above * gap**2)])


def _solid(mask: NDArray[Any]) -> NDArray[np.int_]:
    return 1 - _largest(1 - _largest(mask))


def _largest(mask: NDArray[Any]) -> NDArray[np.int_]:
    pieces, _ = ndimage.label(mask)
    largest: NDArray[np.int_] = (pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1).astype(int)
    return largest
