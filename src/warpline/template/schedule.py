"""The rounds of a template: from coarse to fine, and what each registers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from warpline.recipe import Budget, Recipe
from warpline.recipe.syn import FACTORS, Syn

Kind = Literal["centred", "linear", "deformable"]

REFINED = (0.75,)
"""Share of the iterations at the last levels that a round has which refines the maps of an earlier one."""


@dataclass(frozen=True)
class Stage:
    """One round, before it runs.

    Parameters
    ----------
    number : int
        From 0 on.
    kind : {"centred", "linear", "deformable"}
        What it registers with; the first brings centres together and registers nothing.
    factor : int
        Voxel size of the image that subjects are registered to, in those of the template.
    symmetric : bool
        Whether its template is made its own mirror image: the first ones are, so that no side is preferred before it is
        known which subjects are mirrored.
    compares_sides : bool
        Whether left and right are compared here.
    continues : bool
        Whether it starts from the whole maps of the round before it, and only refines them.
    """

    number: int
    kind: Kind
    factor: int
    symmetric: bool
    compares_sides: bool = False
    continues: bool = False


def stages_of(recipe: Recipe, factors: Sequence[int], rounds: int, *, symmetric: bool) -> list[Stage]:
    """All rounds that may run, in their order; those of the finest voxel size come last.

    Parameters
    ----------
    recipe : Recipe
        Of the template.
    factors : sequence of int
        Voxel sizes, coarse to fine, in those of the template.
    rounds : int
        Most rounds at the last of them.
    symmetric : bool
        Whether every template is to be symmetric.

    Examples
    --------
    >>> from warpline import Recipe
    >>> [(stage.kind, stage.factor) for stage in stages_of(Recipe.load("syn"), (2, 1), 1, symmetric=False)]
    [('centred', 2), ('linear', 2), ('deformable', 2), ('deformable', 1)]
    """
    main: Kind = "linear" if recipe.syn is None else "deformable"
    kinds: list[tuple[Kind, int]] = [("centred", factors[0])]
    if recipe.linear is not None and recipe.syn is not None:
        kinds.append(("linear", factors[0]))
    kinds += [(main, factor) for factor in factors[:-1]]
    kinds += [(main, factors[-1])] * rounds
    refinable = main == "deformable" and may_continue(recipe)
    compared = next(number for number, (kind, _) in enumerate(kinds) if number and kind == main)
    return [
        Stage(number, kind, factor, symmetric or number < compared, number == compared, refinable and number > compared)
        for number, (kind, factor) in enumerate(kinds)
    ]


def may_continue(recipe: Recipe) -> bool:
    """Whether deformable rounds may refine earlier maps: not velocities, nor what is limited as a whole."""
    syn = recipe.syn
    return syn is not None and syn.model != "velocity" and syn.directions is None and recipe.budget.is_empty


def recipe_of(stage: Stage, recipe: Recipe) -> Recipe:
    """What a round registers with: either the linear or the deformable stages of a recipe.

    Deformable rounds start from the affines of the last linear one, seen from the new template: their mean is the
    identity and stays so, which that of affines found anew in every round does not.
    """
    if stage.kind == "deformable":
        syn = refining(recipe.syn) if stage.continues and recipe.syn is not None else recipe.syn
        return recipe.model_copy(update={"name": f"{recipe.name}-deformable", "linear": None, "syn": syn})
    linear = recipe.linear
    if recipe.syn is not None and linear is not None:  # what is missed here, the deformable rounds find
        linear = linear.model_copy(update={"refinements": 0})
    return recipe.model_copy(
        update={"name": f"{recipe.name}-linear", "linear": linear, "syn": None, "budget": Budget()}
    )


def refining(syn: Syn) -> Syn:
    """The options of a deformable stage with few iterations at its last levels.

    Grey values are compared as they are given, where the recipe leaves it open: who is in a template after its first
    deformable round correlates with the mean of the others.
    """
    contrast = "given" if syn.contrast == "auto" else syn.contrast
    levels = min(len(REFINED), len(syn.iterations))
    iterations = tuple(
        max(1, round(count * share)) for count, share in zip(syn.iterations[-levels:], REFINED[-levels:], strict=True)
    )
    sigmas = None if syn.sigmas is None else syn.sigmas[-levels:]
    factors = (FACTORS if syn.factors is None else syn.factors)[-levels:]
    return syn.model_copy(update={"factors": factors, "iterations": iterations, "sigmas": sigmas, "contrast": contrast})
