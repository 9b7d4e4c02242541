"""The grid of the middle, and the time points on it, all interpolated alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from warpline.backends import Backend
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.images.intensity import value_beyond
from warpline.longitudinal.rigid_middle import RigidMiddle
from warpline.resampling import warp
from warpline.space import Affine, Transform
from warpline.space.grid import Grid, apply_affine

MARGIN = 12
"""Voxels of the middle around what any time point shows; what moves there has faded out."""
SPLINE = 3
"""Order of the interpolation of every time point: none is blurred more than another."""
SHADING = 12.0
"""Gaussian in mm of what counts as shading; finer than that, grey values differ by what has changed."""
EDGE = 1.0
"""Gaussian in voxels before slopes of grey values are taken."""
LEAST_WEIGHT = 1e-3
"""Share of a Gaussian within the object from which shading is known."""

Masks = Sequence[Image | None]
"""Where time points count (voxels other than 0), one for each; None where all of it counts."""


Extent = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lowest and highest coordinates (3,) in mm."""


def extent_of(images: Sequence[Image], middle: RigidMiddle) -> Extent:
    """Where the objects of all time points lie in the middle.

    Parameters
    ----------
    images : sequence of Image
        The time points.
    middle : RigidMiddle
        Where they are.
    """
    reached = []
    for image, affine in zip(images, middle.affines, strict=True):
        inside = np.argwhere(foreground_mask(image))
        world = apply_affine(affine.inverse().matrix @ image.affine, inside if len(inside) else [[0, 0, 0]])
        reached += [world.min(axis=0), world.max(axis=0)]
    return np.min(reached, axis=0), np.max(reached, axis=0)


def middle_grid(images: Sequence[Image], centre: NDArray[np.float64], extent: Extent, times: int = 1) -> Grid:
    """The grid of the middle: cubes as large as the finest voxel, along the axes of the world, around all objects.

    Parameters
    ----------
    images : sequence of Image
        The time points.
    centre : (3,)
        The point of the middle that rotations leave, mm: a voxel.
    extent : Extent
        Of the objects.
    times : int
        How many times as long as the finest voxel an edge of a cube is.
    """
    flat = all(image.grid.flat for image in images)
    used = 2 if flat else 3
    size = times * float(min(image.grid.voxel_size[:used].min() for image in images))
    first, last = np.floor((extent[0] - centre) / size) - MARGIN, np.ceil((extent[1] - centre) / size) + MARGIN
    first[used:] = last[used:] = 0
    matrix = np.diag([size, size, size, 1.0])
    matrix[:3, 3] = centre + size * first
    shape = (last - first + 1).astype(int)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), matrix, flat)


def on_middle(image: Image, transform: Transform, grid: Grid, backend: Backend) -> Image:
    """A time point on the grid of the middle through a map from there, in one interpolation."""
    return warp(image, transform, grid, order=SPLINE, outside=value_beyond(image), backend=backend)


def mask_on_middle(mask: Image | None, rigid: Affine, grid: Grid, backend: Backend) -> Image | None:
    """The mask of a time point at the nearest voxels of the grid of the middle, 0 or 1; None without one."""
    if mask is None:
        return None
    marked = replace(mask, data=np.not_equal(mask.data, 0).astype(np.uint8))
    placed = warp(marked, rigid, grid, order=0, backend=backend)
    return replace(placed, data=np.asarray(placed.data, np.uint8))


def object_of(image: Image, mask: Image | None) -> NDArray[np.bool_]:
    """Where an image shows its object, and its mask, on the same grid, lets it count; (I, J, K)."""
    inside = foreground_mask(image)
    return inside if mask is None else inside & (mask.data != 0)


def brightness_factors(images: Sequence[Image], masks: Masks) -> list[float]:
    """What the grey values of every image are multiplied by, so that the median of their ratios is 1.

    Voxels count where all images show their object. Factors are 1 where an image has values below 0, or none that lie
    above.

    Parameters
    ----------
    images : sequence of Image
        On one grid.
    masks : sequence of Image or None
        Of each, on its grid.
    """
    inside = _object_of_all(images, masks)
    if not (inside.any() and _have_gains(images, _medians(images, masks))):
        return [1.0] * len(images)
    logs = np.log(np.stack([np.asarray(image.data[inside], np.float64) for image in images]))
    gains = np.median(logs - logs.mean(axis=0), axis=1)
    return [float(one) for one in np.exp(gains.mean() - gains)]


def _medians(images: Sequence[Image], masks: Masks) -> NDArray[np.float64]:
    """Median of the object of every image, (N,)."""
    inside = (
        np.asarray(image.data[object_of(image, mask)], np.float64) for image, mask in zip(images, masks, strict=True)
    )
    return np.array([np.median(values) if values.size else 0.0 for values in inside])


def _have_gains(images: Sequence[Image], medians: NDArray[np.float64]) -> bool:
    """Whether grey values are counted from 0, so that scans may differ by factors: not so in CT."""
    return bool(medians.min() > 0) and min(value_beyond(image) for image in images) >= 0


def without_unlike_shading(images: Sequence[Image], factors: Sequence[float], masks: Masks) -> list[Image]:
    """Images on one grid, each times its factor, and divided by what is smooth of its ratio to their geometric mean.

    The ratio counts where tissue is flat.

    Gain and shading differ between scans, and squared differences would take that for change (differential bias, Lewis
    and Fox 2004, NeuroImage 23:75). Nothing is divided where grey values are not counted from 0.

    Parameters
    ----------
    images : sequence of Image
        The time points on the grid of the middle.
    factors : sequence of float
        As of `brightness_factors`.
    masks : sequence of Image or None
        Of each, on that grid.
    """
    if not _have_gains(images, _medians(images, masks)):
        return list(images)
    scaled = [np.asarray(image.data, np.float32) * np.float32(one) for image, one in zip(images, factors, strict=True)]
    inside = _flat_tissue(scaled, _object_of_all(images, masks))
    sigma = [SHADING / size if count > 1 else 0.0 for size, count in _axes(images[0].grid)]
    weight = gaussian_filter(inside.astype(np.float32), sigma)
    logs = [np.log(one, out=np.zeros_like(one), where=inside) for one in scaled]
    mean = np.mean(logs, axis=0)
    known = weight > LEAST_WEIGHT
    fields = (gaussian_filter(one - mean, sigma) / np.where(known, weight, np.float32(1)) for one in logs)
    return [
        replace(image, data=one * np.exp(-np.where(known, field, np.float32(0))))
        for image, one, field in zip(images, scaled, fields, strict=True)
    ]


def _object_of_all(images: Sequence[Image], masks: Masks) -> NDArray[np.bool_]:
    """Where all images show their object with values above 0, (I, J, K)."""
    inside = np.ones(images[0].data.shape, np.bool_)
    for image, mask in zip(images, masks, strict=True):
        inside &= object_of(image, mask) & np.greater(image.data, 0)
    return inside


def _flat_tissue(images: Sequence[NDArray[np.float32]], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels (I, J, K) of an object where the mean of images is flat: what moves there changes no grey value.

    Where edges move, ratios of grey values are large, and shading made of them would take up to a quarter of a change.
    """
    if not inside.any():
        return inside
    mean = np.mean(images, axis=0)
    sigma = [EDGE if count > 1 else 0.0 for count in mean.shape]
    slope = np.zeros_like(mean)
    for axis in np.flatnonzero(np.array(mean.shape) > 1):
        order = [int(other == axis) for other in range(3)]
        slope += np.square(gaussian_filter(mean, sigma, order))
    flat: NDArray[np.bool_] = inside & (slope <= np.median(slope[inside]))
    return flat


def _axes(grid: Grid) -> list[tuple[float, int]]:
    return list(zip(grid.voxel_size.tolist(), grid.shape, strict=True))


def median_image(images: Sequence[Image], name: str = "middle") -> Image:
    """The median of images on one grid, voxel by voxel: an outlier does not show."""
    return Image(np.median(np.stack([image.data for image in images]), axis=0).astype(np.float32), images[0].grid, name)
