"""Symmetric diffeomorphic registration (SyN): both images are carried to a common middle.

After Avants et al. 2008 (doi:10.1016/j.media.2007.06.004), without inverses inside the loop: the two half-maps run from
the middle to either image, and are inverted once, at the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline import fields
from warpline.backends import Array, Backend
from warpline.backends.convergence import CONVERGED, ConvergenceRule, energies_of, has_diverged, new_trace
from warpline.geometry import Grid, Matrix
from warpline.metrics import DEFORMABLE_METRICS
from warpline.pyramid import coarse_grid, factors_for_spacing, with_coarser, without_finest
from warpline.recipe import FACTORS, Syn
from warpline.solvers.invertibility import VOXELS, Units
from warpline.solvers.progress import LevelRecord, Listener, Progress
from warpline.solvers.scene import Scene

CHECK_EVERY = 5
"""Iterations between two looks at the energy."""

FINER = 1.2
"""An image is smoothed before it is resampled on a level whose voxels are longer than its own by this ratio."""

HALF = 0.5
"""Gaussian smoothing of an image before that, in voxels of the level."""

COUNTED = 0.998
"""Share of masked voxels among those that an interpolated value is made of, above which it counts."""

UNIT = 0.5
"""Voxels of the finest level that inverse errors are counted in, where these are more than a voxel of the grid."""

LEAST_NORM = 3e-5
"""A force shorter than this everywhere is rounding noise and is not scaled up to a full step."""


@dataclass(frozen=True)
class HalfMaps:
    """Displacements (3, I, J, K) from the middle to either image, in voxels of `grid`.

    `units` are the lengths, in these voxels, that inverse errors are counted in, see `Quality`.
    """

    to_fixed: Array
    to_moving: Array
    grid: Grid
    levels: tuple[LevelRecord, ...]
    units: Units = VOXELS


@dataclass(frozen=True)
class Halves:
    """Both half-maps (2, 3, I, J, K) in voxels of `grid`, which is all that one level leaves to the next."""

    field: Array
    grid: Grid


def register_syn(scene: Scene, options: Syn, *, backend: Backend, listener: Listener | None = None) -> HalfMaps:
    """Run every level, coarse to fine."""
    spacing = _finest_spacing(scene.grid)
    halves: Halves | None = None
    records: list[LevelRecord] = []
    levels = _schedule(scene.grid, options)
    for index, (factor, most, blur) in enumerate(levels):
        level = Level(scene, factor * spacing, options, backend, blur=blur, coarser=halves)
        records.append(_run(level, (index, len(levels)), most, listener))
        halves = Halves(level.halves, level.grid)
        del level  # its memory is for the next one
    assert halves is not None, "a recipe has at least one level"
    to_fixed, to_moving = (fields.move_to_grid(half, halves.grid, scene.grid, backend) for half in halves.field)
    units = VOXELS if options.factors is not None else _units(halves.grid, scene.grid)
    return HalfMaps(to_fixed, to_moving, scene.grid, tuple(records), units)


def _units(finest: Grid, grid: Grid) -> Units:
    """Half a voxel of the finest level along each axis, or a whole voxel of the grid, if that is longer."""
    ratio = np.maximum(UNIT * finest.voxel_size / grid.voxel_size, 1.0)
    return float(ratio[0]), float(ratio[1]), float(ratio[2])


def _schedule(grid: Grid, options: Syn) -> list[tuple[float, int, float]]:
    """Shrink factor, most iterations, and smoothing as a share of the factor, of every level, coarse to fine."""
    factors = _every_factor(grid) if options.factors is None else options.factors
    further = len(factors) - len(options.iterations)
    blurs = [HALF] * len(factors)
    if options.sigmas is not None:
        blurs[further:] = [s / f for s, f in zip(options.sigmas, factors[further:], strict=True)]
    if options.factors is None:
        factors = without_finest(factors, _thickest_spacing(grid) / _finest_spacing(grid))
    count = len(factors)
    iterations = (options.iterations[:1] * (count - len(options.iterations)) + options.iterations)[:count]
    return list(zip(factors, iterations, blurs[:count], strict=True))


def _every_factor(grid: Grid) -> tuple[float, ...]:
    """Shrink factors of an image as large as a grid, whatever the shape of its voxels."""
    return with_coarser(FACTORS, float((np.array(grid.shape) * grid.voxel_size).max()) / _finest_spacing(grid))


def _run(level: Level, place: tuple[int, int], most: int, listener: Listener | None) -> LevelRecord:
    """Run the level at a place among so many, and take it back to its best energy where it went astray."""
    began, (index, levels), done = time.perf_counter(), place, 0
    energies: tuple[float, ...] = ()
    for done, trace in _looks(level, most):
        energies = tuple(energies_of(trace).tolist())
        if listener:
            listener(Progress("syn", index, levels, done - 1, most, energies[-1], level.middle_images))
    start = level.energy_at_start() if energies else 0.0
    if level.coarser is None and level.is_masked:
        start = math.inf  # no mask's edge was blended yet: other voxels counted
    kept = done
    if energies and has_diverged(start, energies):
        kept = level.go_back(start, energies, done)
    seconds = time.perf_counter() - began
    return LevelRecord("syn", index, level.grid.shape, done, energies, seconds, kept)


def _looks(level: Level, most: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Run a level; yields iterations done and the trace of energies then, at every look.

    A look is read while the iterations after it run, so that the device never waits for the host: a level goes on for
    one look after it has converged.
    """
    backend, pace, done = level.backend, level.pace, 0
    level.trace = backend.upload(new_trace(-(-most // pace.spacing)))
    pending: tuple[int, Callable[[], NDArray[np.float64]]] | None = None
    while done < most:
        times = min(pace.spacing, most - done)
        level.advance(times, first=done == 0)
        done += times
        before, pending = pending, (done, backend.download_later(level.trace))
        if before is not None:
            seen = before[1]()
            yield before[0], seen
            if seen[CONVERGED]:
                break
    if pending is not None:
        yield pending[0], pending[1]()


class Level:
    """One level of the pyramid: its images, its half-maps (from a coarser level), and all an iteration needs.

    Arrays hold both sides, the fixed one first, so that one operation works on both. They decide how large an image a
    GPU can hold: 26 volumes, 4 more with two masks.
    """

    def __init__(
        self,
        scene: Scene,
        spacing: float,
        options: Syn,
        backend: Backend,
        *,
        blur: float = HALF,
        coarser: Halves | None = None,
    ) -> None:
        self.grid = coarse_grid(scene.grid, factors_for_spacing(scene.grid, spacing))
        fixed, moving = (scene.fixed, scene.grid, np.eye(4)), (scene.moving, scene.moving_grid, scene.affine)
        shape, field = (2, *self.grid.shape), (2, 3, *self.grid.shape)
        self.images = backend.empty(shape)
        self.images[0] = _on_level(self.grid, fixed, scene.fixed_mask, (spacing, blur), backend)
        self.images[1] = _on_level(self.grid, moving, scene.moving_mask, (spacing, blur), backend)
        self.masks = _masks_on(self.grid, scene, backend)
        self.options, self.backend, self.coarser = options, backend, coarser
        self.pace, self.trace = ConvergenceRule(CHECK_EVERY, options.early_stop), backend.upload(new_trace(1))
        self.step_length = backend.upload(np.array([options.step], np.float32))
        self.metric = DEFORMABLE_METRICS[options.metric](options)
        self.halves = backend.empty(field)
        self._start()
        self.forces, self.updates, self.kept = backend.empty(field), backend.empty(field), backend.empty(field)
        # Forces are made of the warped images before updates are made of forces, so that these may share memory.
        self.warped = self.updates.reshape(-1, *self.grid.shape)[:2]
        self.warped_masks = [None if mask is None else backend.empty(self.grid.shape) for mask in self.masks]
        self.value, self.norms = backend.zeros((1,), np.float64), backend.empty((2,))
        self.energy_at_start: Callable[[], float] = lambda: math.inf

    @property
    def is_masked(self) -> bool:
        """Whether only a part of either image counts."""
        return any(mask is not None for mask in self.masks)

    def _start(self) -> None:
        """Take the half-maps of the coarser level; none move anything without one."""
        if self.coarser is None:
            self.halves[...] = 0
            return
        for half, finer in zip(self.coarser.field, self.halves, strict=True):
            fields.move_to_grid(half, self.coarser.grid, self.grid, self.backend, out=finer)

    def advance(self, times: int, *, first: bool) -> None:
        """Iterate so often, and watch the last iteration.

        The energy of the `first` iteration of all is that of the start.
        """
        backend, plain = self.backend, times - 1
        if first and plain:
            backend.repeat(self.step, 1)
            plain -= 1
            self._remember_start()
        backend.repeat(self.step, plain)
        if self.is_masked:  # its energy takes arrays that no graph keeps
            self.watched_step()
        else:
            backend.repeat(self.watched_step, 1)
        if first and times == 1:
            self._remember_start()

    def _remember_start(self) -> None:
        value = self.backend.download_later(self._energy())
        self.energy_at_start = lambda: float(value()[0])

    def _energy(self) -> Array:
        """The energy of the last iteration, per voxel that counted: with masks, fewer do as their edges are blended."""
        last = [warped for warped in self.warped_masks if warped is not None][-1:]
        if not last:
            return self.value
        return self.value / np.maximum((last[0] > 0).mean(dtype=np.float64), 1e-12)

    def go_back(self, start: float, energies: Sequence[float], done: int) -> int:
        """Take the half-maps of the lowest energy, at the start or after it; returns the iterations behind them."""
        best = int(np.argmin(energies))
        if start <= energies[best]:
            self._start()
            return 0
        self.halves[...] = self.kept
        return min((best + 1) * self.pace.spacing, done) - 1

    def middle_images(self) -> tuple[NDArray[np.float32], ...]:
        """Fixed and moving volume as the half-maps carry them now."""
        self.backend.sample(self.images, field=self.halves, out=self.warped)
        return tuple(self.backend.download(warped) for warped in self.warped)

    def step(self) -> None:
        """One iteration, on both sides at once: warp the images, follow the forces.

        ``half <- smooth(v + half o (id + v))`` with v the smoothed force, at most one step long.
        """
        self._compare()
        self._follow()

    def watched_step(self) -> None:
        """An iteration whose energy is added to the trace, and whose half-maps are kept if there are no better ones."""
        self._compare()
        energy = self._energy()
        self.backend.keep_best_state(self.halves, energy, best=self.kept, trace=self.trace)
        self._follow()
        self.backend.update_convergence(energy, trace=self.trace, step=self.step_length, rule=self.pace)

    def _compare(self) -> None:
        """Find energy and forces where the half-maps are."""
        self.backend.sample(self.images, field=self.halves, out=self.warped)
        self.metric.forces(self.warped, self.forces, self.value, mask=self._mask(), backend=self.backend)

    def _follow(self) -> None:
        """Move the half-maps along the forces."""
        options, backend, updates, moved = self.options, self.backend, self.updates, self.forces
        backend.smooth(self.forces, (options.update_sigma,) * 3, out=updates, out_norm=self.norms)
        backend.compose(self.halves, updates, norm=self.norms, least_norm=LEAST_NORM, step=self.step_length, out=moved)
        backend.smooth(moved, (options.total_sigma,) * 3, out=self.halves)

    def _mask(self) -> Array | None:
        """Positive where both images count, in the middle space: not where a mask's edge is blended in."""
        both = None
        for mask, half, warped in zip(self.masks, self.halves, self.warped_masks, strict=True):
            if mask is not None and warped is not None:
                self.backend.sample(mask, field=half, out=warped)
                if both is not None:
                    warped *= both
                both = warped
        if both is not None:
            both -= np.float32(COUNTED)
        return both


def _finest_spacing(grid: Grid) -> float:
    """Shortest voxel edge in mm; an axis of one voxel does not count."""
    return float(_spacings(grid).min())


def _thickest_spacing(grid: Grid) -> float:
    """Longest voxel edge in mm; an axis of one voxel does not count."""
    return float(_spacings(grid).max())


def _spacings(grid: Grid) -> NDArray[np.float64]:
    counted = np.array(grid.shape) > 1
    return grid.voxel_size[counted] if counted.any() else grid.voxel_size


def _on_level(
    level: Grid, source: tuple[Array, Grid, Matrix], mask: Array | None, width: tuple[float, float], backend: Backend
) -> Array:
    """A volume on its grid, smoothed and resampled on a level through a world matrix, cubic.

    `width` is the spacing of the level in mm and the smoothing as a share of it.
    """
    (volume, grid, world), (spacing, blur) = source, width
    ratio = np.where(np.array(grid.shape) > 1, spacing / grid.voxel_size, 0.0)
    sigma = tuple(float(blur * r) if r > FINER else 0.0 for r in ratio)
    if level == grid and np.array_equal(world, np.eye(4)) and not any(sigma):
        return volume
    if any(sigma):
        volume = _smoothed(volume, mask, (sigma[0], sigma[1], sigma[2]), backend)
    return backend.sample(volume, level.voxel_map_to(grid, world), shape=level.shape, order=3)


def _smoothed(volume: Array, mask: Array | None, sigma: tuple[float, float, float], backend: Backend) -> Array:
    """Gaussian of a volume; of what the mask marks only, ``blur(v m) / blur(m)``, where there is one."""
    smoothed = backend.empty(volume.shape)
    backend.smooth(volume if mask is None else volume * mask, sigma, out=smoothed)
    if mask is not None:
        share = backend.empty(volume.shape)
        backend.smooth(mask, sigma, out=share)
        smoothed /= share.clip(1e-3, None)
    return smoothed


def _masks_on(grid: Grid, scene: Scene, backend: Backend) -> tuple[Array | None, Array | None]:
    fixed = moving = None
    if scene.fixed_mask is not None:
        matrix = grid.voxel_map_to(scene.grid)
        fixed = backend.sample(scene.fixed_mask, matrix, shape=grid.shape)
    if scene.moving_mask is not None:
        matrix = grid.voxel_map_to(scene.moving_grid, scene.affine)
        moving = backend.sample(scene.moving_mask, matrix, shape=grid.shape)
    return fixed, moving
