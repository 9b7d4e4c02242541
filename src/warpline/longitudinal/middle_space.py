"""The grid of the middle, and the time points on it, all interpolated alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpline.backends import Backend
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.images.intensity import value_beyond
from warpline.longitudinal.rigid_middle import RigidMiddle
from warpline.resampling import warp
from warpline.space import Transform
from warpline.space.grid import Grid, apply_affine

MARGIN = 12
"""Voxels of the middle around what any time point shows; what moves there has faded out."""
SPLINE = 3
"""Order of the interpolation of every time point: none is blurred more than another."""


def middle_grid(images: Sequence[Image], middle: RigidMiddle) -> Grid:
    """The grid of the middle: cubes as large as the finest voxel, along the axes of the world, around all objects.

    Parameters
    ----------
    images : sequence of Image
        The time points.
    middle : RigidMiddle
        Where they are.
    """
    flat = all(image.grid.flat for image in images)
    used = 2 if flat else 3
    size = float(min(image.grid.voxel_size[:used].min() for image in images))
    reached = []
    for image, affine in zip(images, middle.affines, strict=True):
        inside = np.argwhere(foreground_mask(image))
        world = apply_affine(affine.inverse().matrix @ image.affine, inside if len(inside) else [[0, 0, 0]])
        reached += [world.min(axis=0), world.max(axis=0)]
    lowest, highest = np.min(reached, axis=0), np.max(reached, axis=0)
    first = np.floor((lowest - middle.centre) / size) - MARGIN
    last = np.ceil((highest - middle.centre) / size) + MARGIN
    first[used:] = last[used:] = 0
    matrix = np.diag([size, size, size, 1.0])
    matrix[:3, 3] = middle.centre + size * first
    shape = (last - first + 1).astype(int)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), matrix, flat)


def on_middle(image: Image, transform: Transform, grid: Grid, backend: Backend) -> Image:
    """A time point on the grid of the middle through a map from there, in one interpolation."""
    return warp(image, transform, grid, order=SPLINE, outside=value_beyond(image), backend=backend)


def brightness_factors(images: Sequence[Image]) -> list[float]:
    """What the grey values of every image are multiplied by, so that medians of their objects agree.

    1 where an image has values below 0, or none that lie above.

    Parameters
    ----------
    images : sequence of Image
        On any grids.
    """
    inside = [np.asarray(image.data[foreground_mask(image)], np.float64) for image in images]
    medians = np.array([np.median(values) if values.size else 0.0 for values in inside])
    if medians.min() <= 0 or min(value_beyond(image) for image in images) < 0:
        return [1.0] * len(images)
    return [float(one) for one in np.exp(np.log(medians).mean()) / medians]


def median_image(images: Sequence[Image], factors: Sequence[float], name: str = "middle") -> Image:
    """The median of images on one grid, voxel by voxel, each times its factor: an outlier does not show."""
    scaled = [np.asarray(image.data, np.float32) * np.float32(one) for image, one in zip(images, factors, strict=True)]
    return Image(np.median(np.stack(scaled), axis=0).astype(np.float32), images[0].grid, name)
