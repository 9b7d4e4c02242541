"""Two images on one level, ready to be compared under any affine map of world space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.affine_search import BfgsOptions
from warpline.geometry import Grid, Matrix, apply_affine
from warpline.intensity import Normalised
from warpline.metrics import LINEAR_METRICS, LinearMetric, Samples
from warpline.metrics.samples import value_range
from warpline.pyramid import coarse_image, factors_for_spacing
from warpline.recipe import Linear
from warpline.solvers.motion import Motion, slice_frame

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
    """An image at one spacing.

    Parameters
    ----------
    array : (I, J, K) float32
        On the backend.
    grid : Grid
        Where it lies.
    origin : (3,)
        Centre of the first voxel of the image it was made from, in world mm.
    backend : Backend
        Where the arrays are.
    mask : (I, J, K) uint8, optional
        Its mask, on the backend.
    """

    array: Array
    grid: Grid
    origin: NDArray[np.float64]
    backend: Backend
    mask: Array | None = None

    @property
    def spacing(self) -> float:
        """Edge in mm of a cube as large as a voxel; axes of one voxel are left out."""
        sizes = [size for size, n in zip(self.grid.voxel_size, self.grid.shape, strict=True) if n > 1]
        return float(np.prod(sizes) ** (1 / len(sizes))) if sizes else 1.0

    @cached_property
    def inside(self) -> Array:
        """Voxels inside the mask, on the backend; all without one."""
        return self.backend.zeros(self.grid.shape, np.uint8) == 0 if self.mask is None else self.mask > 0

    @cached_property
    def foreground(self) -> Array:
        """Voxels inside the mask that differ from a constant background of lowest value; all of them without one."""
        low, high = value_range(self.array, None if self.mask is None else self.inside)
        found = self.within(self.array > (low + CONSTANT * (high - low)).astype(np.float32))
        count, size = (voxels.sum(dtype=np.float64) for voxels in (found, self.inside))
        return np.where((count > 0) & (count <= (1 - EMPTY) * size), found, self.inside)

    @cached_property
    def mass_centre(self) -> NDArray[np.float64]:
        """Centre of the intensity above the lowest one inside the mask, in world mm."""
        volume = self.backend.download(self.array)
        inside = None if self.mask is None else self.on_host(self.inside)
        lowest = (volume if inside is None else volume[inside]).min()
        weights = volume.astype(np.float64) - lowest
        if inside is not None:
            weights[~inside] = 0.0
        total = weights.sum()
        if total == 0:
            return self.grid.centre
        sides = [
            weights.sum(axis=tuple(np.delete(range(3), axis))) @ np.arange(weights.shape[axis]) for axis in range(3)
        ]
        return apply_affine(self.grid.affine, np.array(sides) / total)

    def within(self, voxels: Array) -> Array:
        """Those of some voxels that are inside the mask."""
        return voxels if self.mask is None else voxels & self.inside

    def on_host(self, array: Array) -> NDArray[np.bool_]:
        """An array of voxels, such as `foreground`, on the host."""
        return self.backend.download(array)


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
        self._turned_back = np.ascontiguousarray(self._to_voxel[:3, :3].T)

    def overlap(self, world: Matrix) -> float:
        """Share of the sample points that land in the moving image."""
        _, shares = self._metric.values(self._to_voxel @ world[None] @ self._to_world)
        return float(shares[0])

    def values(self, worlds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The metric at fixed world to moving world matrices (S, 4, 4), each weighted by its share of overlap."""
        values, shares = self._metric.values(self._to_voxel @ worlds @ self._to_world)
        return np.where(shares >= LEAST_OVERLAP, values * shares, self._metric.worst)

    def values_and_derivatives(self, worlds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The metric (S,) and its derivatives (S, 3, 4) by the rows of `worlds`; flat where too little overlaps."""
        values, shares, slopes = self._metric.values_and_derivatives(self._to_voxel @ worlds @ self._to_world)
        by_world = self._turned_back @ slopes @ self._to_world.T
        if min(shares.tolist(), default=1.0) >= LEAST_OVERLAP:
            return values, by_world
        enough = shares >= LEAST_OVERLAP
        return np.where(enough, values, self._metric.worst), by_world * enough[:, None, None]

    def descend(
        self, motion: Motion, starts: NDArray[np.float64], rules: BfgsOptions, listen: Callable[[int, float], None]
    ) -> NDArray[np.float64] | None:
        """Parameters (S, size) of the best ``starts motion(parameters)``, where the backend searches; see there."""
        family = motion.family(self._to_voxel @ starts, self._to_world)
        return self._metric.backend.minimise_affine(self._metric.inputs, family, rules, listen)


def compare(fixed: Level, moving: Level, options: Linear) -> Comparison:
    """The images of one level under the metric of `options`, on points in and around the fixed foreground."""
    backend = fixed.backend
    points = sample_points(fixed, options.samples, rim=RIM * fixed.spacing)
    samples = Samples(points, backend.sample_at(fixed.array, points), moving.array, backend, moving.mask)
    return Comparison(LINEAR_METRICS[options.metric](samples, options), fixed.grid, moving.grid)


def build_levels(image: Normalised, spacings: tuple[float, ...], backend: Backend) -> list[Level]:
    """The image at each spacing in mm, coarse to fine; each level is made from the next finer one.

    With a mask, only values inside it are averaged: ``blur(v m) / blur(m)``. Levels of a shared image are kept.
    """
    return backend.cache.get(image, ("levels", spacings), lambda: _levels(image, spacings, backend))


def _levels(image: Normalised, spacings: tuple[float, ...], backend: Backend) -> list[Level]:
    volume, grid = image.volume, image.grid
    inside = None if image.mask is None else (image.mask != 0).astype(np.float32)
    if inside is not None:
        volume = volume * inside
    levels = []
    for spacing in reversed(spacings):
        factors = factors_for_spacing(grid, spacing)
        if inside is not None:
            inside, _ = coarse_image(inside, grid, factors, backend)
        volume, grid = coarse_image(volume, grid, factors, backend)
        levels.append(_level(volume, grid, image, inside, backend))
    return levels[::-1]


def _level(volume: Array, grid: Grid, image: Normalised, inside: Array | None, backend: Backend) -> Level:
    origin = image.grid.affine[:3, 3]
    if inside is None:
        return Level(volume, grid, origin, backend)
    # A mask smaller than a coarse voxel fills none by half; its best voxels count then.
    least = np.minimum(0.5 * inside.max().astype(np.float64), LEAST_INSIDE).astype(np.float32)
    known = inside > least
    averaged = known * volume / np.maximum(inside, least)
    return Level(averaged, grid, origin, backend, known.astype(np.uint8))


def sample_points(level: Level, most: int, rim: float) -> Array:
    """Evenly spread points (N, 3) float32 in voxels of the level, on the backend.

    They lie in the foreground and a rim around it (mm), one at most per voxel, each moved off the voxel's centre by a
    fixed low-discrepancy sequence: the additive recurrence of the plastic number's generalisation to 3-D.
    """
    found = np.flatnonzero(_with_rim(level, rim))
    count = min(most, len(found))
    numbers = np.arange(count, dtype=np.float64, like=found)
    chosen = found[_spread_out(numbers, len(found))]
    points = level.backend.empty((count, 3))
    stride = level.array.size
    for axis, n in enumerate(level.grid.shape):
        stride //= n
        place = numbers * (1 / 1.2207440846057596 ** (axis + 1)) + 0.5
        place -= np.floor(place)
        place -= 0.5
        place += chosen // stride % n
        points[:, axis] = place.clip(0, n - 1)
    return points


def _spread_out(numbers: Array, among: int) -> Array:
    """Whole numbers (N,) from 0 to among - 1, evenly spread, from 0.0 ... N - 1."""
    places = (numbers * ((among - 1) / max(len(numbers) - 1, 1))).astype(np.int64)
    if len(numbers) > 1:
        places[-1:] = among - 1
    return places


def _with_rim(level: Level, rim: float) -> Array:
    """Voxels inside the mask whose centre is at most `rim` mm from that of a voxel of the foreground."""
    found = level.foreground
    if rim == 0:
        return found
    sizes = level.grid.voxel_size
    reach = np.minimum(np.ceil(rim / sizes), np.array(found.shape) - 1).astype(int)
    lengths = np.sqrt(np.square(np.indices(reach + 1) * sizes[:, None, None, None]).sum(axis=0))
    widths = (lengths <= rim).sum(axis=2) - 1  # of the run along the last axis at each shift along the others
    runs = [found]
    for width in range(1, widths.max() + 1):
        runs.append(_joined(runs[-1], [(found, width)], axis=2))
    planes = [
        _joined(runs[row[0]], [(runs[w], j) for j, w in enumerate(row) if w >= 0 < j], axis=1)
        for row in widths
        if row[0] >= 0
    ]
    return level.within(_joined(planes[0], [(plane, i) for i, plane in enumerate(planes) if i], axis=0))


def _joined(first: Array, others: Iterable[tuple[Array, int]], axis: int) -> Array:
    """Where `first` is true, or one of the others moved by its shift to either side along an axis."""
    found = first.copy()
    for other, shift in others:
        above, below = (*[slice(None)] * axis, slice(shift, None)), (*[slice(None)] * axis, slice(None, -shift))
        np.logical_or(found[above], other[below], out=found[above])
        np.logical_or(found[below], other[above], out=found[below])
    return found


def centre_and_radius(level: Level) -> tuple[NDArray[np.float64], float]:
    """Middle of the foreground in world mm, and the root mean square distance of its voxels from there.

    Of an object that is smaller than a voxel, half the voxel.
    """
    return centre_and_radius_later(level)()


def centre_and_radius_later(level: Level) -> Callable[[], tuple[NDArray[np.float64], float]]:
    """Ask for them; the function that is returned gives them, and waits unless something else has waited since."""
    foreground = level.backend.download_later(level.foreground)

    def found() -> tuple[NDArray[np.float64], float]:
        places = apply_affine(level.grid.affine, np.argwhere(foreground()))
        middle = places.mean(axis=0)
        return middle, max(float(np.sqrt(((places - middle) ** 2).sum(axis=1).mean())), 0.5 * level.spacing)

    return found


def shared_plane(fixed: Grid, moving: Grid) -> Matrix | None:
    """Frame of the fixed slice, see `slice_frame`, when both grids are one voxel thick; None for volumes."""
    return None if slice_frame(moving) is None else slice_frame(fixed)
