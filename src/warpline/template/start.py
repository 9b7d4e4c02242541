"""Where a template begins: the grid around all subjects, and their mean with centres brought together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.cohort import Pair
from warpline.cohort.manifest import abbreviate
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite, check_labels, check_one_volume
from warpline.images.foreground import foreground_mask
from warpline.images.intensity import normalise
from warpline.io.images import read_image
from warpline.resampling import warp
from warpline.space import Affine
from warpline.space.grid import Grid, apply_affine

MARGIN = 0.12
"""Background around the object on every side, as a share of its size."""

OUTER = 0.1
"""Percentage of the voxels of an object that may lie beyond its extent on either side: specks do not widen it."""

COARSEST = 32
"""Voxels that the longest axis of a grid has at least in coarse rounds."""

FACTORS = (4, 2, 1)
"""Voxel sizes of the rounds, in those of the template."""

MOST_VOXELS = 1e9
"""Of a template; several fields of as many are held in memory."""

LEAST_VOXELS = 12
"""Along the longest axis of a template: with fewer there is nothing to register."""

Point = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Extent:
    """Where the object of an image lies.

    Parameters
    ----------
    centre : (3,)
        Mean position of its voxels, in mm (RAS+).
    low, high : (3,)
        How far it reaches to either side of that, along world axes, in mm.
    voxel : float
        Shortest side of a voxel, in mm.
    flat : bool
        Whether the image is one of two axes.
    """

    centre: Point
    low: Point
    high: Point
    voxel: float
    flat: bool


def read_normalised(path: str, geometry: str | None, backend: Backend) -> Image:
    """An image with its background at 0 and its bright values at 1, float32.

    Raises
    ------
    InputError
        When it cannot be read, is not one volume, not finite or constant.
    """
    image = read_image(path, geometry)
    check_one_volume(image)
    check_finite(image)
    check_contrast(image)
    volume = backend.download(normalise(image, backend).volume)
    return Image(np.asarray(volume, np.float32), image.grid, image.name)


def check_further(subject: Pair, geometry: str | None, *, flat: bool) -> None:
    """Read the labels and further channels of a subject, before hours are spent on what ends with them.

    Parameters
    ----------
    subject : Pair
        The subject.
    geometry : {"sform", "qform"}, optional
        As for `read_image`.
    flat : bool
        Whether its image has two axes.

    Raises
    ------
    InputError
        When one cannot be read, is not one finite volume, or has two axes where the image has three; when labels are
        no whole numbers or 0 everywhere.
    """
    checks = [(subject.moving_labels, check_labels), *((path, _check_channel) for path in subject.columns.values())]
    for image, check in ((read_image(path, geometry), check) for path, check in checks if path):
        check(image)
        if image.grid.flat != flat:
            one, other = ("three", "two") if image.grid.flat else ("two", "three")
            raise InputError(f"{image.name} has {other} axes, the image of {subject.id} {one}; give files of one kind")


def _check_channel(channel: Image) -> None:
    check_one_volume(channel)
    check_finite(channel)


def check_kinds(flat: Mapping[str, bool]) -> None:
    """Refuse subjects (ids) of which some have two axes and others three.

    Raises
    ------
    InputError
        Naming the fewer of both.
    """
    kinds = [[one for one, is_flat in flat.items() if is_flat == kind] for kind in (True, False)]
    if all(kinds):
        which = kinds.index(min(kinds, key=len))
        words = ("two axes, the others three", "three axes, the others two")[which]
        raise InputError(
            f"images of one kind are needed: those of {abbreviate(kinds[which])} have {words}; leave them out"
        )


def extent_of(image: Image) -> Extent:
    """The extent of the foreground of an image."""
    places = apply_affine(image.affine, np.argwhere(foreground_mask(image)))
    if not len(places):
        places = image.grid.corners()
    centre = places.mean(axis=0)
    low, high = np.percentile(places, (OUTER, 100 - OUTER), axis=0)
    sides = image.grid.voxel_size[: 2 if image.grid.flat else 3]
    return Extent(centre, low - centre, high - centre, float(sides.min()), image.grid.flat)


def template_grid(extents: Sequence[Extent], spacing: float | None) -> Grid:
    """A grid along world axes around the objects, their centres together; its middle along x is that of no side.

    Parameters
    ----------
    extents : sequence of Extent
        Of all subjects.
    spacing : float, optional
        Voxel size in mm; the median of the shortest sides when None.

    Raises
    ------
    UsageError
        When the voxels would be more than `MOST_VOXELS`, or the longest axis has fewer than `LEAST_VOXELS`.
    """
    flat = extents[0].flat
    voxel = float(np.median([one.voxel for one in extents])) if spacing is None else spacing
    low, high = (np.min([one.low for one in extents], axis=0), np.max([one.high for one in extents], axis=0))
    low[0] = min(low[0], -high[0])
    high[0] = -low[0]
    size = (high - low) * (1 + 2 * MARGIN)
    shape = [max(FACTORS[0], FACTORS[0] * int(np.ceil(length / voxel / FACTORS[0]))) for length in size]
    middle = middle_of(extents) + (low + high) / 2
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = middle - voxel * (np.array(shape) - 1) / 2
    if flat:
        shape[2], affine[2] = 1, (0, 0, 1, 0)
    if np.prod(shape, dtype=np.float64) > MOST_VOXELS:
        sizes = " x ".join(map(str, shape))
        raise UsageError(f"spacing {voxel:g} mm makes a template of {sizes} voxels; choose a larger one")
    if max(shape) < LEAST_VOXELS:
        raise UsageError(
            f"spacing {voxel:g} mm makes a template of {max(shape)} voxels along its longest axis; choose a smaller one"
        )
    written = affine.astype(np.float32).astype(np.float64)  # as NIfTI has it, so that a grid that was read is the same
    return Grid((shape[0], shape[1], shape[2]), written, flat)


def factors_of(grid: Grid) -> list[int]:
    """Of `FACTORS`, those whose grid still shows the object; 1 is among them."""
    return [factor for factor in FACTORS if factor == 1 or max(grid.shape) >= factor * COARSEST]


def coarse_grid(grid: Grid, factor: int) -> Grid:
    """The grid over the same box with voxels so many times as long; a flat one keeps its thickness."""
    i, j, k = (max(1, n // factor) for n in grid.shape)
    return grid.resized((i, j, k))


def middle_of(extents: Sequence[Extent]) -> Point:
    """Mean position (3,) of the centres of several objects, in mm."""
    return np.asarray(np.mean([one.centre for one in extents], axis=0))


def mean_of_centred(
    paths: Sequence[str], middle: Point, grid: Grid, geometry: str | None, *, backend: Backend
) -> Image:
    """Mean of normalised images whose centres are brought to a point, on a grid; sums in the order of `paths`.

    Raises
    ------
    InputError
        When an image cannot be used, or has two axes and the grid three, or the other way round.
    """
    total = np.zeros(grid.shape)
    for path in paths:
        image = read_normalised(path, geometry, backend)
        if image.grid.flat != grid.flat:
            raise InputError(f"{path} and the subjects are not of one kind: some have two axes, others three")
        matrix = np.eye(4)
        matrix[:3, 3] = extent_of(image).centre - middle
        total += np.asarray(warp(image, Affine(matrix, grid.flat), grid, backend=backend).data, np.float64)
    return Image((total / len(paths)).astype(np.float32), grid, "mean of the subjects")
