"""Symmetric diffeomorphic registration (SyN): both images are warped to a common middle space.

After Avants et al. 2008 (doi:10.1016/j.media.2007.06.004), but for one thing: no inverse is computed inside the loop.
The two half-maps run from the middle space to either image, and are inverted once, at the end, see
`warpline.registration.inverse_consistency`. Per level, coarse to fine, and per iteration:

1. Warp both images into the middle space by their half-maps u1, u2.
2. Evaluate the metric there, and its force on either image.
3. Smooth the forces (`update_sigma`, `update_weights`), and scale them so that the longest vector of any iteration of
   the level has `step` voxels: the updates v1, v2. They shrink with the forces, so that a level comes to rest, but for
   `full_steps`, with which every iteration has such a vector.
4. Compose, ``u <- v + u o (id + v)``, and smooth the half-maps (`total_sigma`); other models of `transform_models` move
   theirs otherwise.
5. Every fifth iteration: store the half-maps if their energy is the lowest yet, shorten the step if there was no new
   lowest energy twice in a row, and stop the level if the energy has stopped falling.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.backends.convergence import CONVERGED, ConvergenceRule, energies_of, has_diverged, new_trace
from warpline.recipe import Syn
from warpline.recipe.syn import FACTORS
from warpline.registration.comparisons import ComparedImages
from warpline.registration.contrast import Shown
from warpline.registration.cropping import CroppedPair
from warpline.registration.directions import Projection
from warpline.registration.progress import LevelRecord, Progress, ProgressCallback
from warpline.registration.pulls import PullScale, pulls_of
from warpline.registration.pyramid import SharedLevel, with_coarser, without_finest
from warpline.registration.quality import VOXELS, Units
from warpline.registration.terms import LevelStart, Terms
from warpline.registration.transform_models import LEAST_NORM, MODELS, update_smoothing
from warpline.space import fields
from warpline.space.grid import Grid
from warpline.space.velocity import half_maps_of

CHECK_EVERY = 5
"""Iterations between two evaluations of the energy; each costs a copy of the half-maps where it is the lowest.

Far more, and a level runs on after it has converged or diverged."""

SMOOTHING = 0.5
"""Sigma of the Gaussian before an image is resampled on a level, in voxels of the level: less aliases, more blurs."""

ERROR_UNIT = 0.5
"""Voxels of the finest level that inverse errors are counted in, where these are more than a voxel of the grid."""

NOTABLE_RISE = 0.02
"""Rise of the energy of a level over its lowest one, as a share of that, above which going back to it is a warning."""


@dataclass(frozen=True)
class HalfMaps:
    """Displacements (3, I, J, K) from the middle space to either image, in voxels of `grid`.

    `velocity` is the stationary velocity field (3, I, J, K) they are made of, where the model has one; `units` are the
    lengths, in these voxels, that inverse errors are counted in, see `Quality`; `compared` what the terms of the levels
    are.
    """

    to_fixed: Array
    to_moving: Array
    grid: Grid
    levels: tuple[LevelRecord, ...]
    units: Units = VOXELS
    compared: tuple[ComparedImages, ...] = ()
    velocity: Array | None = None


@dataclass(frozen=True)
class LevelResult:
    """The state (N, 3, I, J, K) in voxels of `grid`, from which the next level starts, and its forces."""

    state: Array
    grid: Grid
    strengths: tuple[Array, ...] = ()
    shown: tuple[Shown, ...] = ()
    number: int = 0


def register_syn(
    pair: CroppedPair, options: Syn, *, backend: Backend, progress: ProgressCallback | None = None
) -> HalfMaps:
    """Run every level, coarse to fine.

    Parameters
    ----------
    pair : CroppedPair
        Fixed and moving image, and the affine between them.
    options : Syn
        Metric, smoothing, levels.
    backend : Backend
        Where everything is computed.
    progress : callable, optional
        Receives a `Progress` at each evaluation of the energy.

    Raises
    ------
    InputError
        When weights leave nothing of a pair to compare.
    """
    spacing = finest_spacing(pair.grid)
    result: LevelResult | None = None
    compared: tuple[ComparedImages, ...] = ()
    records: list[LevelRecord] = []
    schedule = level_schedule(pair.grid, options)
    for index, (factor, iterations, smoothing) in enumerate(schedule):
        place = SharedLevel.of(pair.grid, factor * spacing, smoothing)
        level = SynLevel(pair, place, options, backend, coarser=result)
        counted = level.terms.counted_later(level.half_maps) if index + 1 == len(schedule) else tuple
        records.append(_run_level(level, (index, len(schedule)), iterations, progress))
        result = LevelResult(level.model.state, level.grid, level.terms.strengths, level.terms.shown, index)
        compared = level.terms.compared() if index == 0 else compared
        del level  # its memory is for the next one
    assert result is not None, "a recipe has at least one level"
    ended = zip(compared, result.shown, counted(), strict=True)
    compared = tuple(replace(images, contrast=shown, counted=left) for images, shown, left in ended)
    state = [fields.move_to_grid(field, result.grid, pair.grid, backend) for field in result.state]
    velocity = state[0] if len(state) == 1 else None
    to_fixed, to_moving = state if velocity is None else half_maps_of(velocity, backend)
    units = VOXELS if options.factors is not None else _error_units(result.grid, pair.grid)
    return HalfMaps(to_fixed, to_moving, pair.grid, tuple(records), units, compared, velocity)


def _error_units(finest: Grid, grid: Grid) -> Units:
    """Half a voxel of the finest level along each axis, or a whole voxel of the grid, if that is longer."""
    ratio = np.maximum(ERROR_UNIT * finest.voxel_size / grid.voxel_size, 1.0)
    return float(ratio[0]), float(ratio[1]), float(ratio[2])


def level_schedule(grid: Grid, options: Syn) -> list[tuple[float, int, float]]:
    """Shrink factor, most iterations, and smoothing as a share of the factor, of every level, coarse to fine."""
    factors = _default_factors(grid) if options.factors is None else options.factors
    further = len(factors) - len(options.iterations)
    smoothing = [SMOOTHING] * len(factors)
    if options.sigmas is not None:
        smoothing[further:] = [s / f for s, f in zip(options.sigmas, factors[further:], strict=True)]
    if options.factors is None:
        factors = without_finest(factors, float(_voxel_edges(grid).max()) / finest_spacing(grid))
    count = len(factors)
    iterations = (options.iterations[:1] * (count - len(options.iterations)) + options.iterations)[:count]
    return list(zip(factors, iterations, smoothing[:count], strict=True))


def _default_factors(grid: Grid) -> tuple[float, ...]:
    """Shrink factors of an image as large as a grid, whatever the shape of its voxels."""
    return with_coarser(FACTORS, float((np.array(grid.shape) * grid.voxel_size).max()) / finest_spacing(grid))


def _run_level(
    level: SynLevel, place: tuple[int, int], iterations: int, progress: ProgressCallback | None
) -> LevelRecord:
    """Run one level, the first of `place` among the second; restore its best half-maps where its energy diverged."""
    started, (index, levels), done = time.perf_counter(), place, 0
    energies: tuple[float, ...] = ()
    for done, trace in _iterate(level, iterations):
        energies = tuple(energies_of(trace).tolist())
        if progress:
            progress(Progress("syn", index, levels, done - 1, iterations, energies[-1], level.middle_images))
    start = level.energy_at_start() if energies else 0.0
    if level.coarser is None and level.is_masked:
        start = math.inf  # no mask edge was interpolated yet, so that its energy is over other voxels
    kept = done
    if energies and has_diverged(start, energies):
        kept = level.restore_best(start, energies, done)
    seconds = time.perf_counter() - started
    apart = tuple(pull.distance() for pull in level.pulls)
    return LevelRecord("syn", index, level.grid.shape, done, energies, seconds, kept, apart)


def _iterate(level: SynLevel, iterations: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Iterate a level until it has converged; yields iterations done and the trace of energies, at every evaluation.

    Energies are copied asynchronously, so that the device never waits for the host; convergence is seen one evaluation
    late.
    """
    backend, rule, done = level.backend, level.rule, 0
    level.trace = backend.upload(new_trace(-(-iterations // rule.spacing)))
    pending: tuple[int, Callable[[], NDArray[np.float64]]] | None = None
    while done < iterations:
        times = min(rule.spacing, iterations - done)
        level.advance(times, first=done == 0)
        done += times
        previous, pending = pending, (done, backend.download_later(level.trace))
        if previous is not None:
            trace = previous[1]()
            yield previous[0], trace
            if trace[CONVERGED]:
                break
    if pending is not None:
        yield pending[0], pending[1]()


class SynLevel:
    """One level: its terms, its half-maps (starting from a coarser level's), and the memory of an iteration.

    Arrays hold both sides, the fixed one first, so that one operation works on both. They decide how large an image a
    GPU can hold: 26 volumes, 4 more with two masks, 2 more with scales of updates; see `Terms` for several channels.
    """

    def __init__(
        self,
        pair: CroppedPair,
        level: SharedLevel,
        options: Syn,
        backend: Backend,
        *,
        coarser: LevelResult | None = None,
    ) -> None:
        self.grid, field = level.grid, (2, 3, *level.grid.shape)
        self.options, self.backend, self.coarser = options, backend, coarser
        self.rule, self.trace = ConvergenceRule(CHECK_EVERY, options.early_stop), backend.upload(new_trace(1))
        self.step_length = backend.upload(np.array([options.step], np.float32))
        self.model = MODELS[options.model](level.grid.shape, options, backend)
        self.half_maps = self.model.half_maps
        self._start()
        start = LevelStart(level, self.half_maps, None if coarser is None else coarser.shown)
        self.terms = Terms.of(pair, start, options, backend)
        self.number = 0 if coarser is None else coarser.number + 1
        self.smoothing = update_smoothing(self.grid, self.number, options, backend)
        self.forces, self.updates = backend.empty(field), backend.empty(field)
        self.best = backend.empty(self.model.state.shape)
        self.norms = backend.zeros((2,), np.float32)
        self.projection = None if pair.allowed is None else Projection(pair.allowed, self.grid, backend)
        # Forces are made of the warped images before updates are made of forces, so that these may share memory.
        self.terms.share_memory(self.updates)
        self.terms.balance(self.half_maps, self._smoothed, () if coarser is None else coarser.strengths)
        self.pulls = pulls_of(pair, self.grid, options, backend, self.projection)
        if self.pulls:
            self._start_pulls()
        self.energy_at_start: Callable[[], float] = lambda: math.inf

    @property
    def is_masked(self) -> bool:
        """Whether only a part of either image counts."""
        return self.terms.is_masked

    def _start(self) -> None:
        """Take over the state of the coarser level; zero without one."""
        if self.coarser is None:
            self.model.state[...] = 0
        else:
            for field, finer in zip(self.coarser.state, self.model.state, strict=True):
                fields.move_to_grid(field, self.coarser.grid, self.grid, self.backend, out=finer)
        self.model.follow_state()

    def _start_pulls(self) -> None:
        """Let landmarks and surfaces that miss by a voxel pull and count as the images do, see `PullScale`."""
        scale = self._scale_of_images()
        for pull in self.pulls:
            pull.follow(self.half_maps)
            self.forces.fill(0)
            pull.add_unit(self.forces)
            unit = self._longest(self.forces)
            pull.scale(scale.force / unit if unit > LEAST_NORM else 0.0, scale.energy)  # 0 where nothing is in reach
        self.terms.add_pulls(self.pulls)

    def _scale_of_images(self) -> PullScale:
        """What the images are worth, at the start and a voxel further apart along each axis."""
        lengths, energies = [], []
        for apart in (0.0, 0.5):
            for half_map, sign in zip(self.half_maps, (1, -1), strict=True):
                for component, n in zip(half_map, self.grid.shape, strict=True):
                    component += np.float32(sign * apart * (n > 1))
            self._compute_forces()
            lengths.append(self._longest(self.forces))
            energies.append(float(self.backend.download(self.terms.energy())[0]))
        self._start()
        return PullScale.of(lengths, energies)

    def _longest(self, forces: Array) -> float:
        """The longest vector of smoothed forces."""
        self.smoothing.smooth(forces, out=self.updates, out_norm=self.norms)
        longest = float(self.backend.download(self.norms).max())
        self.norms.fill(0)
        return longest

    def advance(self, times: int, *, first: bool) -> None:
        """Run so many iterations, and evaluate the energy in the last one.

        With `first`, the energy of the first iteration is remembered as that of the start.
        """
        repeat, plain = self.backend.repeat if self.terms.are_replayable else _repeat, times - 1
        if first and plain:
            repeat(self.iterate, 1)
            plain -= 1
            self._remember_start()
        repeat(self.iterate, plain)
        if self.terms.are_summed:  # their energy takes arrays that no graph keeps
            self.iterate_and_check()
        else:
            repeat(self.iterate_and_check, 1)
        if first and times == 1:
            self._remember_start()

    def _remember_start(self) -> None:
        value = self.backend.download_later(self.terms.energy())
        self.energy_at_start = lambda: float(value()[0])

    def restore_best(self, start: float, energies: Sequence[float], done: int) -> int:
        """Go back to the half-maps of the lowest energy, at the start or after; returns the iterations behind them."""
        lowest = int(np.argmin(energies))
        if start <= energies[lowest]:
            self._start()
            return 0
        self.model.state[...] = self.best
        self.model.follow_state()
        return min((lowest + 1) * self.rule.spacing, done) - 1

    def middle_images(self) -> tuple[NDArray[np.float32], ...]:
        """Fixed and moving volume in the middle space, by the current half-maps."""
        return tuple(self.backend.download(warped) for warped in self.terms.middle_images(self.half_maps))

    def iterate(self) -> None:
        """One iteration, both sides at once: steps 1 to 4 of the module's list."""
        self._compute_forces()
        self._update_half_maps()

    def iterate_and_check(self) -> None:
        """An iteration with step 5: best half-maps stored, step length and convergence updated, all on the device."""
        self._compute_forces()
        energy = self.terms.energy()
        self.backend.keep_best_state(self.model.state, energy, best=self.best, trace=self.trace)
        self._update_half_maps()
        self.backend.update_convergence(energy, trace=self.trace, step=self.step_length, rule=self.rule)

    def _compute_forces(self) -> None:
        """Steps 1 and 2: warp the images, evaluate the metric and its forces."""
        self.terms.compute_forces(self.half_maps, self.forces)
        if self.projection is not None:
            self.projection.project(self.forces, self.updates)

    def _smoothed(self, forces: Array) -> Array:
        """Forces smoothed as updates are, in the memory of the updates."""
        self.smoothing.smooth(forces, out=self.updates, out_norm=self.norms)
        self.norms.fill(0)
        return self.updates

    def _update_half_maps(self) -> None:
        """Steps 3 and 4: smooth the forces, and move the half-maps by them as the model does."""
        if self.options.full_steps:
            self.norms.fill(0)
        self.smoothing.smooth(self.forces, out=self.updates, out_norm=self.norms)
        self.model.update(self.updates, self.norms, self.step_length, scratch=self.forces)


def _repeat(step: Callable[[], None], times: int) -> None:
    for _ in range(times):
        step()


def finest_spacing(grid: Grid) -> float:
    """Shortest voxel edge in mm; an axis of one voxel does not count."""
    return float(_voxel_edges(grid).min())


def _voxel_edges(grid: Grid) -> NDArray[np.float64]:
    """Voxel edges in mm, without axes of one voxel, where there are others."""
    counted = np.array(grid.shape) > 1
    return grid.voxel_size[counted] if counted.any() else grid.voxel_size


def restoration_warnings(levels: tuple[LevelRecord, ...]) -> tuple[str, ...]:
    """A sentence for every deformable level whose best half-maps were restored after a clear loss."""
    return tuple(
        f"level {level.level + 1} of {len(levels)} of the deformable stage got worse and was taken back to its best "
        f"state, iteration {level.kept} of {level.iterations}: one image may show what the other has not"
        for level in levels
        if level.kept is not None and level.kept < level.iterations and _rise(level) > NOTABLE_RISE
    )


def smoothing_warnings(smoothed: tuple[float, str] | None) -> tuple[str, ...]:
    """A sentence where half-maps had to be smoothed before they could be joined, see `InversePair`."""
    if smoothed is None:
        return ()
    sigma, place = smoothed
    return (
        f"the half-maps of the deformable stage were too rough to be inverted, and were smoothed by {sigma:g} voxels "
        f"{place}: a recipe that makes smoother maps, such as syn, may overlap better",
    )


def _rise(level: LevelRecord) -> float:
    """How far above its lowest energy a level ended, as a share of that."""
    lowest = min(level.energies)
    return (level.energies[-1] - lowest) / max(abs(lowest), 1e-12)
