"""Two images on one level, ready to be compared under any affine map of world space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from warpline.backends import Array, Backend
from warpline.errors import InputError
from warpline.geometry import Grid, Matrix, apply_affine
from warpline.image import Image
from warpline.metrics import LINEAR_METRICS, LinearMetric
from warpline.pyramid import coarse_image, factors_for_spacing
from warpline.recipe import Linear
from warpline.solvers.motion import slice_frame

RIM = 2.0
"""Background around the fixed foreground that is compared as well, in voxels of the level."""
CONSTANT = 1e-3
"""Share of the intensity range within which voxels count as background."""
EMPTY = 0.1
"""Share of such voxels from which on an image has a constant background."""
LEAST_INSIDE = 0.5
"""Share of a coarse voxel that must lie in the mask."""
LEAST_OVERLAP = 0.1
"""Share of the sample points that must land in the moving image."""


@dataclass(frozen=True, eq=False)
class Level:
    """A volume (I, J, K) float32 on the host with its grid and, optionally, its mask (uint8) on the same grid.

    `origin` is the centre of the first voxel of the image it was made from, (3,) in world mm.
    """

    volume: NDArray[np.float32]
    grid: Grid
    origin: NDArray[np.float64]
    mask: NDArray[np.uint8] | None = None

    @property
    def spacing(self) -> float:
        """Edge in mm of a cube as large as a voxel; axes of one voxel are left out."""
        sizes = [size for size, n in zip(self.grid.voxel_size, self.grid.shape, strict=True) if n > 1]
        return float(np.prod(sizes) ** (1 / len(sizes))) if sizes else 1.0

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Voxels inside the mask; all without one."""
        return np.ones(self.grid.shape, bool) if self.mask is None else self.mask > 0

    def foreground(self) -> NDArray[np.bool_]:
        """Voxels inside the mask that differ from a constant background of lowest value; all of them without one."""
        inside = self.inside
        values = self.volume[inside]
        low, high = float(values.min()), float(values.max())
        found = inside & (self.volume > low + CONSTANT * (high - low))
        return found if 0 < found.sum() <= (1 - EMPTY) * len(values) else inside


class Comparison:
    """A metric as a function of the fixed world to moving world matrix.

    Parameters
    ----------
    metric : LinearMetric
        A function of the fixed voxel to moving voxel matrix.
    fixed, moving : Grid
        What these voxels are of.
    """

    def __init__(self, metric: LinearMetric, fixed: Grid, moving: Grid) -> None:
        self.shape = fixed.shape
        self._metric = metric
        self._to_world = fixed.affine
        self._to_voxel = moving.inverse_affine

    def overlap(self, world: Matrix) -> float:
        """Share of the sample points that land in the moving image."""
        return self._metric.value(self._to_voxel @ world @ self._to_world)[1]

    def value(self, world: Matrix) -> float:
        """The metric at a fixed world to moving world matrix, weighted by the share of points that overlap."""
        value, share = self._metric.value(self._to_voxel @ world @ self._to_world)
        return value * share if share >= LEAST_OVERLAP else self._metric.worst

    def value_and_derivative(self, world: Matrix) -> tuple[float, Matrix]:
        """The metric and its derivative (3, 4) by the upper rows of `world`; flat where too little overlaps."""
        value, share, slope = self._metric.value_and_derivative(self._to_voxel @ world @ self._to_world)
        if share < LEAST_OVERLAP:
            return self._metric.worst, np.zeros((3, 4))
        return value, self._to_voxel[:3, :3].T @ slope @ self._to_world.T


def compare(fixed: Level, moving: Level, options: Linear, backend: Backend) -> Comparison:
    """The images of one level under the metric of `options`, on points in and around the fixed foreground."""
    points = sample_points(fixed, options.samples, rim=RIM * fixed.spacing)
    values = ndimage.map_coordinates(fixed.volume, points.T, order=1, mode="nearest")
    metric = LINEAR_METRICS[options.metric](
        points, values, moving.volume, backend=backend, mask=moving.mask, bins=options.bins
    )
    return Comparison(metric, fixed.grid, moving.grid)


def build_levels(image: Image, spacings: tuple[float, ...], backend: Backend, mask: Image | None = None) -> list[Level]:
    """The image at each spacing in mm, coarse to fine; each level is made from the next finer one.

    With a mask, only values inside it are averaged: ``blur(v m) / blur(m)``.
    """
    volume, grid = backend.upload(np.ascontiguousarray(image.data, dtype=np.float32)), image.grid
    inside = None if mask is None else _mask_on(grid, mask, backend)
    if inside is not None:
        volume = backend.upload(backend.download(volume) * backend.download(inside))
    levels = []
    for spacing in reversed(spacings):
        factors = factors_for_spacing(grid, spacing)
        if inside is not None:
            inside, _ = coarse_image(inside, grid, factors, backend)
        volume, grid = coarse_image(volume, grid, factors, backend)
        share = None if inside is None else backend.download(inside)
        levels.append(_level(backend.download(volume), grid, image, share))
    return levels[::-1]


def _level(volume: NDArray[np.float32], grid: Grid, image: Image, inside: NDArray[np.float32] | None) -> Level:
    origin = image.affine[:3, 3]
    if inside is None:
        return Level(volume, grid, origin)
    # A mask smaller than a coarse voxel fills none by half; its best voxels count then.
    known = inside > min(LEAST_INSIDE, 0.5 * float(inside.max()))
    averaged = np.divide(volume, inside, out=np.zeros_like(volume), where=known)
    return Level(averaged, grid, origin, known.astype(np.uint8))


def _mask_on(grid: Grid, mask: Image, backend: Backend) -> Array:
    """The mask by nearest neighbour on a grid, float32."""
    chosen: Array = backend.upload(np.ascontiguousarray(mask.data != 0, dtype=np.uint8))
    sampled = backend.sample(chosen, grid.voxel_map_to(mask.grid), shape=grid.shape, order=0)
    inside = backend.download(sampled).astype(np.float32)
    if not inside.any():
        raise InputError(f"{mask.name} has no voxel inside its image; it must cover part of the image in world space")
    return backend.upload(inside)


def sample_points(level: Level, most: int, rim: float) -> NDArray[np.float32]:
    """Evenly spread points (N, 3) in voxels of the level.

    They lie in the foreground and a rim around it (mm), one at most per voxel, each moved off the voxel's centre by a
    fixed low-discrepancy sequence: the additive recurrence of the plastic number's generalisation to 3-D.
    """
    voxels = np.argwhere(_with_rim(level, rim))
    voxels = voxels[np.linspace(0, len(voxels) - 1, min(most, len(voxels))).astype(int)]
    ratio = 1 / 1.2207440846057596 ** np.arange(1, 4)
    jitter = (0.5 + np.outer(np.arange(len(voxels)), ratio)) % 1.0 - 0.5
    points: NDArray[np.float32] = np.clip(voxels + jitter, 0, np.array(level.grid.shape) - 1).astype(np.float32)
    return points


def _with_rim(level: Level, rim: float) -> NDArray[np.bool_]:
    inside = level.foreground()
    if rim == 0 or inside.all():
        return inside
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    near = np.zeros_like(inside)
    reach = np.ceil(rim / level.grid.voxel_size).astype(int)
    wide = tuple(slice(max(s.start - r, 0), s.stop + r) for s, r in zip(box, reach, strict=True))
    near[wide] = ndimage.distance_transform_edt(~inside[wide], sampling=level.grid.voxel_size) <= rim
    return near & level.inside


def centre_and_radius(level: Level) -> tuple[NDArray[np.float64], float]:
    """Middle of the foreground in world mm, and the root mean square distance of its voxels from there."""
    places = apply_affine(level.grid.affine, np.argwhere(level.foreground()))
    middle = places.mean(axis=0)
    return middle, max(float(np.sqrt(((places - middle) ** 2).sum(axis=1).mean())), 1.0)


def shared_plane(fixed: Grid, moving: Grid) -> Matrix | None:
    """Frame of the fixed slice, see `slice_frame`, when both grids are one voxel thick; None for volumes."""
    return None if slice_frame(moving) is None else slice_frame(fixed)
