"""Means of images and of labels on the grid of a template, and how sharp a mean is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.space.grid import Grid

UNSHARP_SIGMA = 1.0
"""Of the Gaussian that unsharp masking takes off, in voxels."""

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Mean:
    """A weighted mean of images.

    Parameters
    ----------
    image : Image
        The mean.
    residual : float
        Root mean square of what the images differ from it by, over its mean, inside the foreground.
    """

    image: Image
    residual: float


def weighted_mean(images: Iterable[tuple[Values, float]], grid: Grid, inside: NDArray[np.bool_]) -> Mean:
    """Mean of images whose brightness is brought together first; sums in their order, in double precision.

    Parameters
    ----------
    images : iterable of ((I, J, K), float)
        Values and weight of each.
    grid : Grid
        Where they lie.
    inside : (I, J, K) bool
        Where the means of all images are made equal.
    """
    total, squares = np.zeros(grid.shape), np.zeros(grid.shape)
    weights = levels = 0.0
    for values, weight in images:
        level = float(values[inside].mean(dtype=np.float64))
        scaled = values / level if level > 0 else values.astype(np.float64)
        total += weight * scaled
        squares += weight * np.square(scaled)
        weights, levels = weights + weight, levels + weight * level
    mean = total / weights
    spread = np.maximum(squares / weights - np.square(mean), 0)
    image = Image((mean * (levels / weights)).astype(np.float32), grid, "template")
    shown = foreground_mask(image)
    return Mean(image, float(np.sqrt(spread[shown].mean()) / mean[shown].mean()))


def mirrored_mean(image: Image) -> Image:
    """The mean of an image and its mirror image, left and right exchanged: equal to the bit on both sides."""
    data = np.asarray(image.data, np.float32)
    return Image((data + data[::-1]) / np.float32(2), image.grid, image.name)


def sharpened(image: Image, amount: float) -> Image:
    """Unsharp masking: `amount` of what a Gaussian takes away, added again; values stay at or above the lowest."""
    data = np.asarray(image.data, np.float32)
    sigma = [UNSHARP_SIGMA if n > 1 else 0.0 for n in data.shape]
    fine = data - gaussian_filter(data, sigma)
    return Image(np.maximum(data + np.float32(amount) * fine, data.min()).astype(np.float32), image.grid, image.name)


def sharpness(image: Image) -> float:
    """Mean length of the gradient inside the foreground, over the mean there, in 1/mm."""
    inside = foreground_mask(image)
    squared = np.zeros(image.grid.shape)
    for axis, size in enumerate(image.grid.voxel_size):
        if image.grid.shape[axis] > 1:
            squared += np.square(np.gradient(np.asarray(image.data, np.float64), size, axis=axis))
    return float(np.sqrt(squared)[inside].mean() / np.asarray(image.data, np.float64)[inside].mean())


def change(before: Image, after: Image) -> float:
    """Mean absolute difference of two images on one grid over the mean of the second, inside its foreground."""
    inside = foreground_mask(after)
    first, second = (np.asarray(one.data, np.float64)[inside] for one in (before, after))
    return float(np.abs(second - first).mean() / second.mean())


def vote(labels: Iterable[tuple[NDArray[np.generic], float]], grid: Grid) -> Image:
    """The label of most weight at every voxel, the smallest of several that have as much.

    Parameters
    ----------
    labels : iterable of ((I, J, K), float)
        Labels of each subject on the grid, and its weight.
    grid : Grid
        Of the template.
    """
    votes = list(labels)
    kind = np.result_type(*(values.dtype for values, _ in votes))
    chosen, most = np.zeros(grid.shape, kind), np.zeros(grid.shape)
    for label in sorted({label for values, _ in votes for label in _labels_in(values)}):
        count = np.zeros(grid.shape)
        for values, weight in votes:
            count += weight * (values == label)
        better = count > most
        chosen[better], most[better] = label, count[better]
    return Image(chosen, grid, "labels of the template")


def _labels_in(values: NDArray[np.generic]) -> Iterator[float]:
    yield from np.unique(values).tolist()
