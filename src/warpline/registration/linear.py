"""Linear registration: stages of growing freedom, coarse to fine, by a quasi-Newton search."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images.intensity import Normalised
from warpline.recipe import Linear
from warpline.registration.affine_parameters import AffineParameters, shared_plane
from warpline.registration.contrast import CURVES, levels_alike
from warpline.registration.length_unit import LengthUnit
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import LEAST_OVERLAP, AffineObjective, affine_objective
from warpline.registration.progress import LevelRecord, Progress, ProgressCallback
from warpline.registration.pyramid import PyramidLevel, build_pyramid
from warpline.registration.refinement import LocalCorrelation, LocalCorrelationObjective
from warpline.space import Affine

REFINEMENT_ITERATIONS = 12
"""Most iterations of each round of refinement by local correlation; more follow weights that no longer hold."""
LEAST_REFINED_OVERLAP = 0.9
"""Share of the fixed sample points that must fall into the moving image for a refinement: windows that a field of view
cuts correlate with its edge."""
ONE_CONTRAST = 0.85
"""Sign coherence, see `LocalCorrelation`, from which on two images have one contrast: brains of one contrast reach 0.94
and more, T1 against T2 or EPI 0.4 to 0.6 of either sign. An inverted contrast (below -0.85) is not refined: the outline
of the object is not inverted with it and pulls at the affine."""
LEAST_INITIAL_CORRELATION = 0.5
"""Correlation at the start from which on a lower one at the end is a failure; below it, contrasts may differ."""
MOST_STRETCH = 1.25
"""Most by which a refinement may stretch or shrink along any direction. Without structure, local
correlation grows as the moving image shrinks to a point."""


@dataclass(frozen=True, eq=False)
class LinearResult:
    """Outcome of linear registration.

    Parameters
    ----------
    affine : Affine
        Fixed world to moving world.
    levels : tuple of LevelRecord
        Record of each level of each stage, in the order in which they ran.
    warnings : tuple of str
        A sentence for everything that did not go as asked.
    """

    affine: Affine
    levels: tuple[LevelRecord, ...]
    warnings: tuple[str, ...] = ()


class LinearRun:
    """State of linear registration while its levels run: the affine so far, the records and the warnings.

    Parameters
    ----------
    start : Affine
        Initial map of the first level.
    parameters : dict
        Parameters of the map of each stage.
    levels : int
        Number of levels, refinements included.
    progress : callable, optional
        Receives a `Progress` after every iteration.
    """

    def __init__(
        self,
        start: Affine,
        parameters: Mapping[str, AffineParameters],
        levels: int,
        progress: ProgressCallback | None,
    ) -> None:
        self.affine = start
        self.records: list[LevelRecord] = []
        self.warnings: list[str] = []
        self._parameters = parameters
        self._levels = levels
        self._progress = progress

    def optimise(self, objective: AffineObjective, stage: str, level: int, iterations: int) -> None:
        """Run one stage on one level, and record it."""
        energies: list[float] = []

        def report(_: int, energy: float) -> None:
            energies.append(energy)
            if self._progress is not None:
                self._progress(Progress(stage, level, self._levels, len(energies) - 1, iterations, energy))

        started = time.perf_counter()
        search = MultiStartBfgs(objective, self._parameters[stage], self.affine.matrix[None])
        self.affine = Affine(search.run(iterations, report)[0])
        seconds = time.perf_counter() - started
        self.records.append(LevelRecord(stage, level, objective.shape, len(energies), tuple(energies), seconds))


def register_linear(
    fixed: Normalised,
    moving: Normalised,
    initial: Affine,
    options: Linear,
    *,
    backend: Backend,
    progress: ProgressCallback | None = None,
) -> LinearResult:
    """Register linearly, coarse to fine.

    1. Build a pyramid of each image, in a unit of length in which the object is as large as a head; that of the moving
       image is as much finer or coarser as the start shrinks or enlarges the object, in powers of two.
    2. On every level, run every stage (such as rigid, then affine) by BFGS; on the finest level only the last stage.
    3. After an affine stage, maximise squared local correlation, which places unlike anatomies better than a global
       metric does, provided that the two images have one contrast; see `LocalCorrelationObjective`.

    Parameters
    ----------
    fixed, moving : Normalised
        3-D; when both are one slice thick, the map stays within the slice. Only voxels on their masks are compared.
    initial : Affine
        Start, fixed world to moving world.
    options : Linear
        Stages, metric and levels.
    backend : Backend
        Where metrics are computed.
    progress : callable, optional
        Receives a `Progress` after every iteration.

    Raises
    ------
    InputError
        When the images do not overlap at the start.
    """
    unit, plane = LengthUnit.of(fixed), shared_plane(fixed.grid, moving.grid)
    spacings = unit.spacings(options.voxel_sizes)
    start = unit.from_mm(initial)
    of_moving = tuple(size * _size_by(start) for size in spacings)
    sides = (fixed, spacings), (moving, of_moving)
    pyramids = [build_pyramid(unit.image(image, backend), sizes, backend) for image, sizes in sides]
    centre, radius = pyramids[0][0].centre_and_radius()
    parameters: dict[str, AffineParameters] = {
        stage: AffineParameters.after(start.matrix, stage, centre, radius, plane) for stage in options.stages
    }
    run = LinearRun(start, parameters, len(spacings) + options.refinements, progress)
    _run_levels(run, list(zip(*pyramids, strict=True)), options, (fixed.name, moving.name))
    return LinearResult(unit.to_mm(run.affine), tuple(run.records), tuple(run.warnings))


def _size_by(start: Affine) -> float:
    """How many times as large as the fixed object a start shows the moving one; the nearest power of two, mostly 1."""
    volume = abs(float(np.linalg.det(start.matrix[:3, :3])))
    return 2.0 ** round(math.log2(volume) / 3) if volume > 0 else 1.0


def _run_levels(
    run: LinearRun, levels: Sequence[tuple[PyramidLevel, PyramidLevel]], options: Linear, names: tuple[str, str]
) -> None:
    """Every stage, level by level; then, on the finest level, a refinement, through a curve where contrasts differ."""
    initial = run.affine
    for level, pair in enumerate(levels):
        objective = affine_objective(*pair, options)
        _check_overlap(objective.overlap(run.affine.matrix), *names)
        for stage in _stages(options, level):
            run.optimise(objective, stage, level, options.iterations[level])
    refined = options.refinements > 0 and options.stages[-1] == "affine"
    if refined and objective.overlap(run.affine.matrix) >= LEAST_REFINED_OVERLAP:
        local = LocalCorrelationObjective(*pair, options.samples)
        current = local.at(run.affine)
        if abs(current.coherence) >= ONE_CONTRAST and _is_worse(local, initial, current):
            by_correlation = options.model_copy(update={"metric": "correlation"})
            _repeat_by_correlation(run, affine_objective(*pair, by_correlation), initial, options)
        elif current.coherence >= ONE_CONTRAST:
            _refine(run, local, current, options)
        else:
            _refine_alike(run, pair, options)


def _check_overlap(share: float, fixed: str, moving: str) -> None:
    if share < LEAST_OVERLAP:
        raise InputError(
            f"{fixed} and {moving}: only {share:.1%} of the fixed image falls into the moving one at "
            f"the start; at least {LEAST_OVERLAP:.0%} is needed: start from the centres of mass, correct the headers, "
            "let the image that shows less be the fixed one, or, where a mask is given, see that it is 1 on what "
            "counts and 0 on a lesion"
        )


def _stages(options: Linear, level: int) -> tuple[str, ...]:
    """All stages; only the last one at the finest of several levels."""
    finest = level == len(options.iterations) - 1
    return options.stages[-1:] if finest and level > 0 else options.stages


def _is_worse(local: LocalCorrelationObjective, initial: Affine, current: LocalCorrelation) -> bool:
    """Whether two images of one contrast correlate less than they did at the start.

    Any map that carries level sets to level sets has the same mutual information, and smooth images have many of them.
    Where other contrasts leave little correlation at the start, less of it is no sign.
    """
    before, after = map(abs, local.correlations(initial, current.affine))
    return before >= LEAST_INITIAL_CORRELATION and after < before


def _repeat_by_correlation(run: LinearRun, objective: AffineObjective, initial: Affine, options: Linear) -> None:
    """Start again from the initial map, at the finest level, by correlation, which a wrong scale lowers."""
    run.warnings.append(
        "the affine stage left the images less alike than they were at the start, as happens with smooth ones; it was "
        "repeated by correlation: look at the result"
    )
    run.affine, level = initial, len(options.iterations) - 1
    for stage in options.stages:
        run.optimise(objective, stage, level, options.iterations[level])


def _refine_alike(run: LinearRun, pair: tuple[PyramidLevel, PyramidLevel], options: Linear) -> None:
    """Refine two contrasts by local correlation where a curve makes one of them like the other."""
    choices = (LocalCorrelationObjective(*levels_alike(*pair, run.affine, how), options.samples) for how in CURVES)
    local, current = max(((one, one.at(run.affine)) for one in choices), key=lambda found: found[1].mean_square)
    if current.coherence >= ONE_CONTRAST:
        _refine(run, local, current, options)


def _refine(run: LinearRun, local: LocalCorrelationObjective, best: LocalCorrelation, options: Linear) -> None:
    """Maximise squared local correlation in rounds, as long as it grows and the map does not collapse."""
    for number in range(options.refinements):
        objective = local.linearised_at(best)
        run.optimise(objective, options.stages[-1], len(options.iterations) + number, REFINEMENT_ITERATIONS)
        current = local.at(run.affine)
        collapsed = current.coherence < ONE_CONTRAST or _stretch(best.affine, current.affine) > MOST_STRETCH
        if collapsed or current.mean_square <= best.mean_square:
            run.affine = best.affine
            return
        best = current


def _stretch(before: Affine, after: Affine) -> float:
    """By how much one map stretches or shrinks more than another, at most, along any direction."""
    change = np.linalg.solve(before.matrix[:3, :3], after.matrix[:3, :3])
    lengths = np.linalg.svd(change, compute_uv=False)
    return float(max(lengths[0], 1 / max(lengths[-1], 1e-300)))
