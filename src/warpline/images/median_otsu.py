"""Masks of the object that an image shows, by median filters and Otsu's threshold (doi:10.1109/TSMC.1979.4310076)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from warpline.backends import thread_count

BINS = 256
"""Bins of the histogram for Otsu's threshold, as in DIPY."""


def median_otsu_mask(
    volume: NDArray[Any], *, radius: int, passes: int, dilation: int | None = None, threads: int | None = None
) -> NDArray[np.bool_]:
    """Voxels that are brighter than Otsu's threshold after median filters.

    Parameters
    ----------
    volume : (I, J, K)
        The image.
    radius : int
        Of the cubic window of the median, in voxels.
    passes : int
        How often the filter runs.
    dilation : int, optional
        Steps by which the mask grows through faces of voxels.
    threads : int, optional
        CPU threads, as in `warpline.backends.thread_count`.

    Returns
    -------
    (I, J, K) bool
        The mask.

    Examples
    --------
    >>> import numpy as np
    >>> head = np.zeros((12, 12, 12))
    >>> head[3:9, 3:9, 3:9] = 100
    >>> int(median_otsu_mask(head, radius=1, passes=1).sum())
    160
    """
    for _ in range(passes):
        volume = _median(volume, radius, thread_count(threads))
    mask: NDArray[np.bool_] = volume > _otsu(volume)
    if dilation is not None:
        mask = ndimage.binary_dilation(mask, ndimage.generate_binary_structure(3, 1), iterations=dilation)
    return mask


def largest_without_holes(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """The largest piece of a mask (I, J, K), its holes filled; a mask of one value stays as it is."""
    inside = mask.astype(bool)
    return inside if inside.all() or not inside.any() else ~_largest(~_largest(inside))


def _median(volume: NDArray[Any], radius: int, threads: int) -> NDArray[Any]:
    """Filter slabs on all threads; each is extended by the radius, so that the result is that of the whole."""
    filtered = np.empty_like(volume)
    edges = np.linspace(0, len(volume), min(4 * threads, len(volume)) + 1).astype(int)

    def run(start: int, stop: int) -> None:
        first, last = max(start - radius, 0), min(stop + radius, len(volume))
        slab: NDArray[Any] = ndimage.median_filter(volume[first:last], size=2 * radius + 1)
        filtered[start:stop] = slab[start - first : stop - first]

    with ThreadPoolExecutor(threads) as pool:
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


def _largest(mask: NDArray[Any]) -> NDArray[np.bool_]:
    pieces, _ = ndimage.label(mask)
    largest: NDArray[np.bool_] = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    return largest
