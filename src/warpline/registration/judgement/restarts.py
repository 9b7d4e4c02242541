"""The judged result of linear registration, and searches from other starts where it is doubtful."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images.intensity import Normalised
from warpline.recipe import Linear
from warpline.registration.affine_parameters import AffineParameters, shared_plane
from warpline.registration.initialisation import (
    SAMPLES,
    SPACING,
    START_ITERATIONS,
    distinct_starts,
    promising_starts,
    searched_starts,
)
from warpline.registration.judgement.limits import Judgement, Signs, judge
from warpline.registration.judgement.measures import affine_signs, angle_between, search_signs
from warpline.registration.judgement.object_comparison import Agreement, ObjectComparison
from warpline.registration.length_unit import LengthUnit
from warpline.registration.linear import LinearResult, register_linear
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import affine_objective
from warpline.registration.pyramid import build_pyramid
from warpline.space import Affine

CLEAR = 2.0
"""`above_chance` at which no other start is tried: brains of one contrast reach 3 and more, of two contrasts 2.

Higher, good results are searched again for nothing; lower, wrong ones pass."""
CANDIDATES, SEARCHED, STARTS = 8, 16, 4
"""Number of other starts whose agreement is measured: by centres, and by a search over translations; and of those, the
best, that are registered.

More take longer, fewer may miss the right one."""
LEAST_RATIO, LEAST_GAIN = 1.1, 0.02
"""An affine replaces another when its agreement is larger by this factor and this much besides: less is noise."""

Images = tuple[Normalised, Normalised]


@dataclass(frozen=True, eq=False)
class JudgedAffine:
    """A linear registration and the signs of how good it is.

    Parameters
    ----------
    result : LinearResult
        Affine, levels, warnings.
    agreement : Agreement
        How the images agree under it.
    signs : dict
        See `warpline.registration.judgement.LIMITS`.
    headers : Affine
        The map by the headers alone, or the start that was given.

    Examples
    --------
    >>> from warpline import Affine
    >>> from warpline.registration.judgement import Agreement, JudgedAffine
    >>> from warpline.registration.linear import LinearResult
    >>> result, agreement = LinearResult(Affine.identity(), ()), Agreement(0.4, 12000, overlap=0.95, coverage=1.0)
    >>> JudgedAffine(result, agreement, {"above_chance": 1.2}, Affine.identity()).judgement.outcome
    'doubtful'
    """

    result: LinearResult
    agreement: Agreement
    signs: Signs
    headers: Affine

    @property
    def judgement(self) -> Judgement:
        """The judgement of these signs."""
        return judge(self.signs)

    @property
    def notes(self) -> tuple[str, ...]:
        """A warning where a map that is not doubtful rotates the object far against its headers."""
        if self.signs["agreement_turned"] is None or self.judgement.outcome != "fine":
            return ()
        angle = angle_between(self.headers, self.result.affine)
        return (f"the affine turns the object by {angle:.0f}° against its headers, with good agreement: check them",)

    @property
    def is_clear(self) -> bool:
        """Whether no other start needs to be tried."""
        above = self.signs["above_chance"]
        return self.judgement.outcome == "fine" and (above is None or above >= CLEAR)


def judge_affine(
    images: Images,
    result: LinearResult,
    options: Linear | None,
    comparison: ObjectComparison,
    *,
    headers: Affine,
    backend: Backend,
) -> JudgedAffine:
    """The signs of a linear registration.

    Parameters
    ----------
    images : pair of Normalised
        Fixed and moving.
    result : LinearResult
        The affine between them.
    options : Linear, optional
        By which it was computed; without them, the affine is not compared to its neighbours.
    comparison : ObjectComparison
        Of the two images.
    headers : Affine
        The map by the headers alone, or the start that was given.
    backend : Backend
        Where the images are.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Image
    >>> from warpline.backends import select
    >>> from warpline.images.intensity import normalise
    >>> from warpline.registration.judgement import ObjectComparison, judge_affine
    >>> from warpline.registration.linear import LinearResult
    >>> backend, (x, y) = select("numpy"), np.indices((48, 48)) - 23.5
    >>> texture = np.random.default_rng(0).normal(5, 1, (16, 16)).repeat(3, axis=0).repeat(3, axis=1)
    >>> disc = np.where(x**2 + 2 * y**2 < 400, texture, 0)
    >>> images = [normalise(Image.from_array(one), backend) for one in (disc, np.roll(disc, 3, axis=0))]
    >>> comparison = ObjectComparison(*images, backend)
    >>> shift = Affine([[1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> result, headers = LinearResult(shift, ()), Affine.identity()
    >>> judge_affine(images, result, None, comparison, headers=headers, backend=backend).judgement.outcome
    'fine'
    """
    agreement = comparison.at(result.affine.matrix)
    signs: Signs = affine_signs(comparison, result.affine, agreement, headers)
    if options is not None:
        signs = {**signs, **search_signs(comparison, images, result.affine, options, backend=backend)}
    return JudgedAffine(result, agreement, signs, headers)


def search_again(
    images: Images, first: JudgedAffine, options: Linear, comparison: ObjectComparison, backend: Backend
) -> JudgedAffine:
    """Search from other starts for an affine with clearly better agreement; its warnings describe the search.

    1. Measure the agreement of the most promising of many starts, some of which need no centres; choose the
       best, one of them with the other metric.
    2. Register from each on the coarse levels.
    3. Where that agrees clearly better than the best affine so far, register on all levels and judge the result.

    Parameters
    ----------
    images : pair of Normalised
        Fixed and moving.
    first : JudgedAffine
        The first result.
    options : Linear
        By which it was computed.
    comparison : ObjectComparison
        Of the two images.
    backend : Backend
        Where the images are.

    Examples
    --------
    The first affine is half a turn off.

    >>> import numpy as np
    >>> from warpline import Affine, Image
    >>> from warpline.backends import select
    >>> from warpline.images.intensity import normalise
    >>> from warpline.recipe import Linear
    >>> from warpline.registration.judgement import ObjectComparison, judge_affine, search_again
    >>> from warpline.registration.linear import LinearResult
    >>> backend, (x, y) = select("numpy"), np.indices((48, 48)) - 23.5
    >>> texture = np.random.default_rng(0).normal(5, 1, (16, 16)).repeat(3, axis=0).repeat(3, axis=1)
    >>> disc = np.where(x**2 + 2 * y**2 < 400, texture, 0)
    >>> images = [normalise(Image.from_array(one), backend) for one in (disc, np.roll(disc, 3, axis=0))]
    >>> comparison = ObjectComparison(*images, backend)
    >>> shift = Affine([[1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> half_turn = Affine([[-1, 0, 0, 50], [0, -1, 0, 47], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> options = Linear(stages=("rigid",), voxel_sizes=(2.0,), iterations=(20,), refinements=0)
    >>> result, headers = LinearResult(half_turn, ()), Affine.identity()
    >>> first = judge_affine(images, result, options, comparison, headers=headers, backend=backend)
    >>> first.judgement.outcome
    'doubtful'
    >>> search_again(images, first, options, comparison, backend).judgement.outcome
    'fine'
    """
    best, found_by = first, ""
    coarse = _coarse_levels(options, LengthUnit.of(images[0]))
    for start in _other_starts(images, coarse, comparison, backend):
        with suppress(InputError):  # this start leaves no overlap
            result = register_linear(*images, start.affine, start.options, backend=backend)
            if not _is_better(comparison.at(result.affine.matrix), best.agreement):
                continue
            finest = options.model_copy(update={"metric": start.options.metric})
            result = register_linear(*images, result.affine, finest, backend=backend)
            other = judge_affine(images, result, finest, comparison, headers=first.headers, backend=backend)
            if _is_better(other.agreement, best.agreement):
                best, found_by = other, start.found_by
    warnings = _search_warnings(first, best, found_by)
    if best.judgement.outcome != "fine":
        warnings += _handedness_warnings(images, best, comparison, backend)
    return replace(best, result=replace(best.result, warnings=best.result.warnings + warnings))


def start_by_search(images: Images, options: Linear, comparison: ObjectComparison, backend: Backend) -> Affine | None:
    """The start that needs no centres with the best agreement; None where none leaves enough overlap.

    Parameters
    ----------
    images, options, comparison, backend
        As for `search_again`; the affine is that of the coarse levels.

    Examples
    --------
    A square that lies far from where the header says.

    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.backends import select
    >>> from warpline.images.intensity import normalise
    >>> from warpline.recipe import Linear
    >>> from warpline.registration.judgement import ObjectComparison, start_by_search
    >>> backend = select("numpy")
    >>> texture = np.random.default_rng(0).normal(5, 1, (8, 8)).repeat(6, axis=0).repeat(6, axis=1)
    >>> square, away = np.pad(texture, 24), np.eye(4)
    >>> away[0, 3] = 500.0
    >>> images = [normalise(Image.from_array(square, affine), backend) for affine in (np.eye(4), away)]
    >>> options = Linear(stages=("rigid",), voxel_sizes=(8.0, 4.0), iterations=(20, 20), refinements=0)
    >>> comparison = ObjectComparison(*images, backend)
    >>> start_by_search(images, options, comparison, backend).matrix[:3, 3].round() + 0.0
    array([500.,   0.,   0.])
    """
    starts = searched_starts(*images, SEARCHED, backend=backend)
    if not starts:
        return None
    agreement = comparison.correlations(start.matrix for start in starts)
    coarse = _coarse_levels(options, LengthUnit.of(images[0]))
    for number in np.argsort(-agreement, kind="stable"):
        with suppress(InputError):  # this start leaves no overlap
            return register_linear(*images, starts[int(number)], coarse, backend=backend).affine
    return None


def _coarse_levels(options: Linear, unit: LengthUnit) -> Linear:
    """The same without its finest level and its refinements."""
    sizes = tuple(size * unit.mm for size in unit.spacings(options.voxel_sizes))
    most = max(len(sizes) - 1, 1)
    levels = {"voxel_sizes": sizes[:most], "iterations": options.iterations[:most]}
    return options.model_copy(update={**levels, "refinements": 0})


@dataclass(frozen=True, eq=False)
class _Start:
    """A start, how it was found, and by what it is registered."""

    affine: Affine
    found_by: str
    options: Linear


def _other_starts(images: Images, options: Linear, comparison: ObjectComparison, backend: Backend) -> list[_Start]:
    """The starts with the best agreement, and the best of them with the other metric."""
    found = [
        _Start(one, "rotations about centres", options)
        for one in promising_starts(*images, CANDIDATES, backend=backend)
    ]
    searched = searched_starts(*images, SEARCHED, backend=backend)
    found += [_Start(one, "a search that needs no centres", options) for one in searched]
    agreement = comparison.correlations(start.affine.matrix for start in found)
    ranked = [found[number] for number in np.argsort(-agreement, kind="stable")]
    best = [ranked[number] for number in distinct_starts([start.affine for start in ranked], images[0], STARTS)]
    other = "correlation" if options.metric == "mutual_information" else "mutual_information"
    return [*best, replace(best[0], options=options.model_copy(update={"metric": other}))]


def _is_better(other: Agreement, best: Agreement) -> bool:
    enough = other.voxels >= 0.5 * best.voxels
    return enough and other.correlation > LEAST_RATIO * best.correlation + LEAST_GAIN


def _search_warnings(first: JudgedAffine, best: JudgedAffine, found_by: str) -> tuple[str, ...]:
    """A sentence on the result of further searches; none where they only confirmed a result that is fine."""
    fine = first.judgement.outcome == "fine"
    if best is first:
        return () if fine else (f"the affine was doubtful; {STARTS + 1} other searches agreed no better",)
    angle, now, then = angle_between(first.result.affine, best.result.affine), best.agreement, first.agreement
    why = "was not clearly right" if fine else "was doubtful"
    return (
        f"the first affine {why}, so {STARTS + 1} other searches were run; one from {found_by} that differs by "
        f"{angle:.0f}° agrees better (local correlation {now.correlation:.2f}, not {then.correlation:.2f}) "
        "and replaces it",
    )


def _handedness_warnings(
    images: Images, best: JudgedAffine, comparison: ObjectComparison, backend: Backend
) -> tuple[str, ...]:
    """A proposal to check the headers where one of the images, mirrored, would agree better."""
    unit = LengthUnit.of(images[0])
    fixed, moving = (build_pyramid(unit.image(image, backend), (SPACING,), backend)[0] for image in images)
    objective = affine_objective(fixed, moving, Linear(samples=SAMPLES))
    centre, radius = comparison.centre / unit.mm, comparison.radius / unit.mm
    parameters = AffineParameters.named("affine", centre, radius, shared_plane(images[0].grid, images[1].grid))
    starts = np.stack([unit.from_mm(best.result.affine).matrix @ _mirror(axis, centre) for axis in range(3)])
    refined = MultiStartBfgs(objective, parameters, starts).run(START_ITERATIONS)
    agreement = comparison.correlations(unit.to_mm(Affine(matrix)).matrix for matrix in refined)
    axis = int(np.argmax(agreement))
    if agreement[axis] < LEAST_RATIO * best.agreement.correlation + 2 * LEAST_GAIN:
        return ()
    return (
        f"with one of them mirrored along {'xyz'[axis]} the images would agree better (local correlation "
        f"{agreement[axis]:.2f}, not {best.agreement.correlation:.2f}): check the orientations in the headers",
    )


def _mirror(axis: int, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """World mirrored along one axis about a point, (4, 4)."""
    matrix = np.eye(4)
    matrix[axis, axis] = -1
    matrix[axis, 3] = 2 * centre[axis]
    return matrix
