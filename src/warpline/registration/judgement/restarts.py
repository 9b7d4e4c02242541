"""Linear registration that looks at its result, and tries again where that is doubtful."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images.intensity import Normalised
from warpline.recipe import Linear
from warpline.registration.affine_parameters import Motion
from warpline.registration.initialisation import REFINEMENT, SAMPLES, SPACING, promising_starts
from warpline.registration.judgement.limits import Judgement, Signs, judge
from warpline.registration.judgement.local_agreement import Agreement, Interior
from warpline.registration.judgement.measures import angle_between, of_affine, of_search
from warpline.registration.length_unit import Unit
from warpline.registration.linear import Descent, LinearResult, register_linear
from warpline.registration.objective import build_levels, compare, shared_plane
from warpline.space import Affine

CLEAR = 2.0
"""`above_chance` from which on nothing else is tried: brains of one contrast reach 3 and more, of two contrasts 2."""
CONSIDERED, FOLLOWED = 8, 3
"""Other starts that are looked at; those that are followed."""
BETTER = 1.1
"""An attempt replaces another when it agrees this many times as well."""
LEAST = 0.02
"""What is more it must agree better by this: differences below are those of noise."""

Images = tuple[Normalised, Normalised]


@dataclass(frozen=True, eq=False)
class Attempt:
    """One linear registration and the signs of how good it is.

    Parameters
    ----------
    result : LinearResult
        Affine, levels, warnings.
    agreement : Agreement
        How the images agree under it.
    signs : dict
        See `warpline.registration.judgement.LIMITS`.
    headers : Affine
        What the headers say, or the start that was given.
    """

    result: LinearResult
    agreement: Agreement
    signs: Signs
    headers: Affine

    @property
    def judgement(self) -> Judgement:
        """What the signs add up to."""
        return judge(self.signs)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of a map that is not doubted for it: that it turns the object far against its headers."""
        if self.signs["agreement_turned"] is None or self.judgement.outcome != "fine":
            return ()
        turned = angle_between(self.headers, self.result.affine)
        return (f"the affine turns the object by {turned:.0f}° against its headers, with good agreement: check them",)

    @property
    def is_clear(self) -> bool:
        """Whether there is no reason to look for anything better."""
        above = self.signs["above_chance"]
        return self.judgement.outcome == "fine" and (above is None or above >= CLEAR)


def examined(
    images: Images,
    result: LinearResult,
    options: Linear | None,
    interior: Interior,
    *,
    headers: Affine,
    backend: Backend,
) -> Attempt:
    """The signs of a linear registration that started from what the headers say, or from a given map."""
    agreement = interior.at(result.affine.matrix)
    signs: Signs = of_affine(interior, result.affine, agreement, headers)
    if options is not None:
        signs = {**signs, **of_search(interior, images, result.affine, options, backend=backend)}
    return Attempt(result, agreement, signs, headers)


def search_again(images: Images, first: Attempt, options: Linear, interior: Interior, backend: Backend) -> Attempt:
    """The best of the first attempt and of some from other starts; its warnings say what was done.

    The starts whose images agree best are followed through the coarse levels; what then agrees clearly better than
    the first attempt goes all the way.
    """
    best = first
    coarse = _coarse(options, Unit.of(images[0]))
    for start, changed in _others(images, coarse, interior, backend):
        with suppress(InputError):  # this start leaves no overlap
            result = register_linear(*images, start, changed, backend=backend)
            if not _is_better(interior.at(result.affine.matrix), best.agreement):
                continue
            finest = options.model_copy(update={"metric": changed.metric})
            result = register_linear(*images, result.affine, finest, backend=backend)
            other = examined(images, result, finest, interior, headers=first.headers, backend=backend)
            best = other if _is_better(other.agreement, best.agreement) else best
    told = _told(first, best)
    if best.judgement.outcome != "fine":
        told += _handedness(images, best, interior, backend)
    return replace(best, result=replace(best.result, warnings=best.result.warnings + told))


def _coarse(options: Linear, unit: Unit) -> Linear:
    """The same without its finest level and its refinements."""
    sizes = tuple(size * unit.mm for size in unit.spacings(options.voxel_sizes))
    most = max(len(sizes) - 1, 1)
    levels = {"voxel_sizes": sizes[:most], "iterations": options.iterations[:most]}
    return options.model_copy(update={**levels, "refinements": 0})


def _others(images: Images, options: Linear, interior: Interior, backend: Backend) -> list[tuple[Affine, Linear]]:
    """Other starts, those whose images agree best, and the best of them with the other metric."""
    starts = promising_starts(*images, CONSIDERED, backend=backend)
    alike = interior.correlations(start.matrix for start in starts)
    starts = [starts[number] for number in np.argsort(-alike, kind="stable")]
    other = "correlation" if options.metric == "mutual_information" else "mutual_information"
    changed = options.model_copy(update={"metric": other})
    return [*((start, options) for start in starts[:FOLLOWED]), (starts[0], changed)]


def _is_better(other: Agreement, best: Agreement) -> bool:
    return other.voxels >= 0.5 * best.voxels and other.correlation > BETTER * best.correlation + LEAST


def _told(first: Attempt, best: Attempt) -> tuple[str, ...]:
    """What is said of further attempts: nothing where they only confirmed a result that is fine."""
    if best is first:
        fine = first.judgement.outcome == "fine"
        return () if fine else (f"the affine was doubtful; {FOLLOWED + 1} other ways to find one agreed no better",)
    turned, now, then = angle_between(first.result.affine, best.result.affine), best.agreement, first.agreement
    return (
        f"the first affine was doubtful, so {FOLLOWED + 1} other ways were tried; one that differs by {turned:.0f}° "
        f"agrees better (local correlation {now.correlation:.2f}, not {then.correlation:.2f}) and was kept",
    )


def _handedness(images: Images, best: Attempt, interior: Interior, backend: Backend) -> tuple[str, ...]:
    """A proposal to check the headers where one of the images, mirrored, would agree better."""
    unit = Unit.of(images[0])
    fixed, moving = (build_levels(unit.image(image, backend), (SPACING,), backend)[0] for image in images)
    comparison = compare(fixed, moving, Linear(samples=SAMPLES))
    centre, radius = interior.centre / unit.mm, interior.radius / unit.mm
    motion = Motion.named("affine", centre, radius, shared_plane(images[0].grid, images[1].grid))
    starts = np.stack([unit.inward(best.result.affine).matrix @ _mirror(axis, centre) for axis in range(3)])
    climbed = Descent(comparison, motion, starts).run(REFINEMENT)
    found = interior.correlations(unit.outward(Affine(matrix)).matrix for matrix in climbed)
    axis = int(np.argmax(found))
    if found[axis] < BETTER * best.agreement.correlation + 2 * LEAST:
        return ()
    return (
        f"with one of them mirrored along {'xyz'[axis]} the images would agree better (local correlation "
        f"{found[axis]:.2f}, not {best.agreement.correlation:.2f}): check the orientations in the headers",
    )


def _mirror(axis: int, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[axis, axis] = -1
    matrix[axis, 3] = 2 * centre[axis]
    return matrix
