"""Pairs to register, in memory: phantoms of any voxel size, and real brains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import brains
from warpline import read_image
from warpline.backends import Backend
from warpline.geometry import Grid, Shape
from warpline.image import Image
from warpline.phantom import PhantomPair, brain_pair
from warpline.resampling import resample

FIELD_OF_VIEW = np.array((192.0, 224.0, 192.0))
"""Of the phantom, in mm."""

FINEST_DRAWN = 1.0
"""Phantoms with shorter voxels than this, in mm, are the one of this size resampled: drawing takes minutes there."""

SIZES = ("2", "1", "0.7", "0.5", "512^3")
"""Voxel sizes of the scaling run in mm, and a number of voxels a side."""


@dataclass(frozen=True, eq=False)
class Case:
    """Two images with labels, on any grids."""

    name: str
    fixed: Image
    moving: Image
    fixed_labels: Image
    moving_labels: Image


def shape_of(size: str) -> Shape:
    """The fixed grid of a phantom: of a voxel size in mm (``"0.7"``), or of so many voxels a side (``"512^3"``)."""
    count, cubed, _ = size.partition("^3")
    shape = [int(count)] * 3 if cubed else np.ceil(FIELD_OF_VIEW / float(size) - 1e-6).astype(int)
    return int(shape[0]), int(shape[1]), int(shape[2])


def phantom(size: str, backend: Backend) -> Case:
    """A phantom pair of one of `SIZES` or any other voxel size; `backend` resamples the large ones."""
    shape = shape_of(size)
    voxel = float(np.min(FIELD_OF_VIEW / shape))
    pair = _drawn(max(voxel, FINEST_DRAWN))
    images = (pair.fixed, pair.moving, pair.fixed_labels, pair.moving_labels)
    if pair.fixed.grid.shape != shape:
        images = tuple(_refined(image, pair.fixed.grid, shape, backend) for image in images)
    unit = "" if size.endswith("^3") else " mm"
    return Case(f"phantom {size}{unit}", *images)


@cache
def _drawn(voxel: float) -> PhantomPair:
    return brain_pair(shape_of(f"{voxel:g}"), voxel_size=voxel)


def _refined(image: Image, fixed: Grid, shape: Shape, backend: Backend) -> Image:
    """The image on a grid over the same box whose axes grow as those of the fixed one do (those of moving, mixed)."""
    ratio = np.array(shape) / np.array(fixed.shape)
    ratio = ratio if image.grid.shape == fixed.shape else np.full(3, np.prod(ratio) ** (1 / 3))
    grown = np.rint(np.array(image.grid.shape) * ratio).astype(int)
    grid = image.grid.resized((int(grown[0]), int(grown[1]), int(grown[2])))
    return resample(image, like=grid, order=0 if image.data.dtype.kind in "iu" else 1, backend=backend)


def real(data: Path, pairs: list[str], work: Path, margin: int = 8) -> Iterator[Case]:
    """Labelled brains, cropped as `compare.py` crops them; `pairs` are ``"FIXED,MOVING"``."""
    for pair in pairs:
        fixed, moving = (brains.prepare(data, side, work, margin) for side in pair.split(","))
        files = (fixed.image, moving.image, fixed.labels, moving.labels)
        images = [read_image(file) for file in files]
        labels = (replace(image, data=np.rint(image.data).astype(np.int32)) for image in images[2:])
        yield Case(f"brains {pair}", images[0], images[1], *labels)
