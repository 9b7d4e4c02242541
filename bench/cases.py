"""Pairs to register, in memory: phantoms of any voxel size, and real brains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import brains
from warpline import read_image, write_image
from warpline.backends import Backend
from warpline.images import Image
from warpline.phantom import PhantomPair, brain_pair
from warpline.resampling import resample
from warpline.space.grid import Grid, Shape

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
    unit = "" if size.endswith("^3") else " mm"
    case = Case(f"phantom {size}{unit}", pair.fixed, pair.moving, pair.fixed_labels, pair.moving_labels)
    return case if pair.fixed.grid.shape == shape else resampled(case, shape, backend)


def resampled(case: Case, shape: Shape, backend: Backend) -> Case:
    """The pair with a fixed image of another shape over the same box, and a moving one that changes as much."""
    grid = case.fixed.grid
    images = (case.fixed, case.moving, case.fixed_labels, case.moving_labels)
    return Case(case.name, *(_refined(image, grid, shape, backend) for image in images))


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


def real(data: Path, pair: str, work: Path, margin: int = 8) -> Case:
    """Two labelled brains, cropped as `compare.py` crops them; `pair` is ``"FIXED,MOVING"``."""
    fixed, moving = (brains.prepare(data, side, work, margin) for side in pair.split(","))
    images = [read_image(file) for file in (fixed.image, moving.image, fixed.labels, moving.labels)]
    labels = (replace(image, data=np.rint(image.data).astype(np.int32)) for image in images[2:])
    return Case(f"brains {pair}", images[0], images[1], *labels)


FILES = ("fixed", "moving", "fixed_labels", "moving_labels")


def keep(case: Case, folder: Path) -> None:
    """Write a pair to files that `kept` reads."""
    folder.mkdir(parents=True)
    for name in FILES:
        image = getattr(case, name)
        kind = np.int32 if "labels" in name else np.float32
        write_image(replace(image, data=image.data.astype(kind)), file_of(folder, name))
    (folder / "name.txt").write_text(case.name)


def kept(folder: Path) -> Case:
    """The pair that `keep` wrote."""
    return Case((folder / "name.txt").read_text(), *(read_image(file_of(folder, name)) for name in FILES))


def file_of(folder: Path, name: str) -> Path:
    """Where one image of a pair is kept."""
    return folder / f"{name}.nii.gz"
