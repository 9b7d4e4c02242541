"""The judgement of one registration as it goes on: of its affine, then of its whole map."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warpline.backends import Backend
from warpline.registration.deformation import Deformation
from warpline.registration.judgement import (
    JudgedAffine,
    Judgement,
    ObjectComparison,
    budget_signs,
    judge,
    quality_signs,
    spread_signs,
    warp_signs,
)
from warpline.registration.linear import LinearResult
from warpline.registration.linear_stage import judge_and_search
from warpline.registration.problem import NormalisedPair, Problem
from warpline.registration.spread import Spread


@dataclass(frozen=True, eq=False)
class Judging:
    """A linear result, searched for again where it was doubtful; as it was where nothing is to be judged.

    Parameters
    ----------
    linear : LinearResult
        With what is to be said of it among its warnings.
    comparison : ObjectComparison, optional
        Of both images, where the whole map is judged too.
    judged : JudgedAffine, optional
        The judgement of the affine, where there is one.
    """

    linear: LinearResult
    comparison: ObjectComparison | None = None
    judged: JudgedAffine | None = None

    @classmethod
    def of(
        cls, linear: LinearResult, seen: NormalisedPair, images: NormalisedPair, problem: Problem, backend: Backend
    ) -> Judging:
        """Judge a linear result, and search again where it is doubtful.

        Parameters
        ----------
        linear : LinearResult
            Of the linear stages.
        seen, images : pair of Normalised
            The images as these stages saw them, and without masks that they heed.
        problem : Problem
            What is registered.
        backend : Backend
            Where images are compared.
        """
        if not problem.judges_affine:
            return cls(linear)
        comparison = ObjectComparison(*images, backend)
        judged = judge_and_search(seen, linear, problem, comparison, backend)
        noted = replace(judged.result, warnings=judged.result.warnings + judged.notes)
        return cls(noted, comparison if problem.judged else None, judged)

    def of_affine(self, spread: Spread | None) -> Judgement:
        """The judgement of a registration that ends with its affine."""
        if self.judged is None or self.comparison is None:
            return Judgement() if self.judged is None else self.judged.judgement
        return judge({**self.judged.signs, **spread_signs(spread, self.comparison.radius)})

    def of_map(self, found: Deformation, spread: Spread | None, backend: Backend) -> Judgement:
        """The judgement of the map that the deformable stage made from the affine."""
        if self.comparison is None or self.judged is None:
            return self.of_affine(spread)
        maps, grid, agreement = found.maps, found.box.grid, self.judged.agreement
        signs = warp_signs(self.comparison, self.linear.affine, agreement, maps.forward, grid=grid, backend=backend)
        of_maps = {**quality_signs(maps.quality), **budget_signs(found.spending)}
        of_spread = spread_signs(spread, self.comparison.radius)
        return judge({**self.judged.signs, **signs, **of_maps, **of_spread})
