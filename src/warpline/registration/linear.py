"""Linear registration: stages of growing freedom, coarse to fine, by a quasi-Newton search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images.intensity import Normalised
from warpline.recipe import Linear
from warpline.registration.affine_parameters import Motion
from warpline.registration.bfgs import minimise, rules_of
from warpline.registration.length_unit import Unit
from warpline.registration.objective import (
    LEAST_OVERLAP,
    Comparison,
    Level,
    build_levels,
    centre_and_radius,
    compare,
    shared_plane,
)
from warpline.registration.progress import LevelRecord, Listener, Progress
from warpline.registration.refinement import Agreement, Refinement
from warpline.space import Affine

SMALLEST_DECREASE = 1e-6
"""Relative decrease of the metric per iteration below which a level is left."""
REFINEMENT = 12
"""Most iterations of each refinement."""
WHOLE = 0.9
"""Share of the fixed points that must fall into the moving image for a refinement: windows cut by a field of view
correlate with what is missing."""
COHERENT = 0.85
"""Coherence, see `Agreement`, from which on contrasts are alike: brains of one contrast reach 0.94 and
more, T1 against T2 or EPI 0.4 to 0.6 either way. An inverted contrast, below -0.85, is not refined: it keeps its
outline, which is not inverted and pulls at the affine."""
TELLING = 0.5
"""Correlation at the start from which on a lower one means that two images of one contrast have become less alike."""
STRETCH = 1.25
"""Most by which a refinement may stretch or shrink along any direction: where there is no structure to hold on to,
local correlation grows as the moving image shrinks to a point."""


@dataclass(frozen=True, eq=False)
class LinearResult:
    """Outcome of linear registration.

    Parameters
    ----------
    affine : Affine
        Fixed world to moving world.
    levels : tuple of LevelRecord
        How each level of each stage went, in the order in which they ran.
    warnings : tuple of str
        A sentence for everything that did not go as asked.
    """

    affine: Affine
    levels: tuple[LevelRecord, ...]
    warnings: tuple[str, ...] = ()


class Descent:
    """The searches for the motions that make a comparison best, from several starts side by side.

    Parameters
    ----------
    comparison : Comparison
        What is minimised.
    motion : Motion
        The family of motions, applied to fixed world points before a start.
    starts : (S, 4, 4)
        Where the searches begin.
    """

    def __init__(self, comparison: Comparison, motion: Motion, starts: NDArray[np.float64]) -> None:
        self._comparison = comparison
        self._motion = motion
        self._starts = starts
        self._turned_back = np.ascontiguousarray(starts[:, :3, :3].transpose(0, 2, 1))

    def energies(
        self, which: Sequence[int], parameters: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The metric (A,) at ``starts[which] motion(parameters)``, and its derivatives (A, size) by the parameters."""
        moved, slopes = self._motion.matrices(parameters)
        at = slice(None) if len(which) == len(self._starts) else list(which)
        values, by_world = self._comparison.values_and_derivatives(self._starts[at] @ moved)
        return values, np.einsum("aij,apij->ap", self._turned_back[at] @ by_world, slopes)

    def run(self, iterations: int, listen: Callable[[int, float], None] = lambda *_: None) -> NDArray[np.float64]:
        """The best maps (S, 4, 4) found in at most so many iterations.

        After each, `listen` receives the number of the start and the energy.
        """
        rules = rules_of(iterations, SMALLEST_DECREASE, LEAST_OVERLAP)
        found = self._comparison.descend(self._motion, self._starts, rules, listen)
        if found is None:
            start = np.zeros((len(self._starts), self._motion.size))
            found = minimise(self.energies, start, iterations=iterations, tolerance=SMALLEST_DECREASE, listen=listen)
        return np.asarray(self._starts @ self._motion.matrices(found)[0])


class Course:
    """The way from the first to the last level: the affine so far, the records, and what went wrong.

    Parameters
    ----------
    start : Affine
        Where the first level begins.
    motions : dict
        Motion of each stage.
    levels : int
        Number of levels, refinements included.
    progress : callable, optional
        Receives a `Progress` after every iteration.
    """

    def __init__(self, start: Affine, motions: Mapping[str, Motion], levels: int, progress: Listener | None) -> None:
        self.affine = start
        self.records: list[LevelRecord] = []
        self.warnings: list[str] = []
        self._motions = motions
        self._levels = levels
        self._progress = progress

    def descend(self, comparison: Comparison, stage: str, level: int, iterations: int) -> None:
        """Run one stage on one level."""
        energies: list[float] = []

        def tell(_: int, energy: float) -> None:
            energies.append(energy)
            if self._progress is not None:
                self._progress(Progress(stage, level, self._levels, len(energies) - 1, iterations, energy))

        started = time.perf_counter()
        descent = Descent(comparison, self._motions[stage], self.affine.matrix[None])
        self.affine = Affine(descent.run(iterations, tell)[0])
        seconds = time.perf_counter() - started
        self.records.append(LevelRecord(stage, level, comparison.shape, len(energies), tuple(energies), seconds))


def register_linear(
    fixed: Normalised,
    moving: Normalised,
    initial: Affine,
    options: Linear,
    *,
    backend: Backend,
    progress: Listener | None = None,
) -> LinearResult:
    """Register linearly, level by level, every stage at all levels but the finest, which only the last one sees.

    An affine stage at last climbs squared local correlation, which places unlike anatomies better than a global
    metric does, provided that the two contrasts are alike; see `Refinement`.

    Parameters
    ----------
    fixed, moving : Normalised
        3-D; when both are one slice thick, motion stays within the slice. Only voxels on their masks are compared.
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
    unit, planar = Unit.of(fixed), shared_plane(fixed.grid, moving.grid)
    spacings = unit.spacings(options.voxel_sizes)
    levels = [build_levels(unit.image(image, backend), spacings, backend) for image in (fixed, moving)]
    centre, radius = centre_and_radius(levels[0][0])
    start = unit.inward(initial)
    motions: dict[str, Motion] = {
        stage: Motion.after(start.matrix, stage, centre, radius, planar) for stage in options.stages
    }
    course = Course(start, motions, len(spacings) + options.refinements, progress)
    _run(course, list(zip(*levels, strict=True)), options, (fixed.name, moving.name))
    return LinearResult(unit.outward(course.affine), tuple(course.records), tuple(course.warnings))


def _run(course: Course, levels: Sequence[tuple[Level, Level]], options: Linear, names: tuple[str, str]) -> None:
    """Every stage, level by level, and the refinement where the two contrasts are alike."""
    initial = course.affine
    for level, pair in enumerate(levels):
        comparison = compare(*pair, options)
        _check_overlap(comparison.overlap(course.affine.matrix), *names)
        for stage in _stages(options, level):
            course.descend(comparison, stage, level, options.iterations[level])
    refined = options.refinements > 0 and options.stages[-1] == "affine"
    if refined and comparison.overlap(course.affine.matrix) >= WHOLE:
        refinement = Refinement(*pair, options.samples)
        best = refinement.at(course.affine)
        if abs(best.coherence) >= COHERENT and _is_worse(refinement, initial, best):
            by_correlation = options.model_copy(update={"metric": "correlation"})
            _start_again(course, compare(*pair, by_correlation), initial, options)
        elif best.coherence >= COHERENT:
            _refine(course, refinement, best, options)


def _check_overlap(share: float, fixed: str, moving: str) -> None:
    if share < LEAST_OVERLAP:
        raise InputError(
            f"{fixed} and {moving}: only {share:.1%} of the fixed image falls into the moving one at "
            f"the start; at least {LEAST_OVERLAP:.0%} is needed: start from the centres of mass, correct the headers, "
            "or let the image that shows less be the fixed one"
        )


def _stages(options: Linear, level: int) -> tuple[str, ...]:
    """All stages; only the last one at the finest of several levels."""
    finest = level == len(options.iterations) - 1
    return options.stages[-1:] if finest and level > 0 else options.stages


def _is_worse(refinement: Refinement, initial: Affine, found: Agreement) -> bool:
    """Whether two images of one contrast agree less than they did at the start.

    Any map that carries level sets to level sets has the same mutual information, and smooth images have many of them.
    Where other contrasts leave little correlation at the start, less of it is no sign.
    """
    before, after = map(abs, refinement.correlations(initial, found.affine))
    return before >= TELLING and after < before


def _start_again(course: Course, comparison: Comparison, initial: Affine, options: Linear) -> None:
    """Start again where the course began, at the finest level, by correlation, which knows how large things are."""
    course.warnings.append(
        "the affine stage left the images less alike than they were at the start, as happens with smooth ones; it was "
        "repeated by correlation: look at the result"
    )
    course.affine, level = initial, len(options.iterations) - 1
    for stage in options.stages:
        course.descend(comparison, stage, level, options.iterations[level])


def _refine(course: Course, refinement: Refinement, best: Agreement, options: Linear) -> None:
    """Climb squared local correlation in rounds, as long as it grows and nothing collapses."""
    for turn in range(options.refinements):
        comparison = refinement.around(best)
        course.descend(comparison, options.stages[-1], len(options.iterations) + turn, REFINEMENT)
        reached = refinement.at(course.affine)
        lost = reached.coherence < COHERENT or _stretch(best.affine, reached.affine) > STRETCH
        if lost or reached.mean <= best.mean:
            course.affine = best.affine
            return
        best = reached


def _stretch(before: Affine, after: Affine) -> float:
    """By how much a map stretches or shrinks what another one gives, at most, along any direction."""
    change = np.linalg.solve(before.matrix[:3, :3], after.matrix[:3, :3])
    lengths = np.linalg.svd(change, compute_uv=False)
    return float(max(lengths[0], 1 / max(lengths[-1], 1e-300)))
