"""The rounds of a template."""

from __future__ import annotations

import pytest

from warpline.recipe import Recipe
from warpline.template.schedule import recipe_of, stages_of


def test_rounds_go_coarse_to_fine_and_linear_to_deformable():
    stages = stages_of(Recipe.load("syn"), (4, 2, 1), 3, symmetric=False)
    assert [one.kind for one in stages] == ["centred", "linear", *["deformable"] * 5]
    assert [one.factor for one in stages] == [4, 4, 4, 2, 1, 1, 1]
    assert [one.number for one in stages] == list(range(7))


def test_templates_are_symmetric_until_sides_were_compared():
    stages = stages_of(Recipe.load("syn"), (1,), 2, symmetric=False)
    assert [one.symmetric for one in stages] == [True, True, False, False]
    assert [one.compares_sides for one in stages] == [False, False, True, False]
    assert all(one.symmetric for one in stages_of(Recipe.load("syn"), (1,), 2, symmetric=True))


def test_a_linear_recipe_makes_linear_rounds():
    stages = stages_of(Recipe.load("affine"), (2, 1), 1, symmetric=False)
    assert [one.kind for one in stages] == ["centred", "linear", "linear"]
    assert recipe_of(stages[-1], Recipe.load("affine")).syn is None


def test_deformable_rounds_keep_the_affines_of_linear_ones():
    recipe = Recipe.load("syn")
    stages = stages_of(recipe, (1,), 1, symmetric=False)
    linear, deformable = recipe_of(stages[1], recipe), recipe_of(stages[2], recipe)
    assert linear.syn is None and linear.linear.stages == recipe.linear.stages and linear.linear.refinements == 0
    assert deformable.linear is None and deformable.syn == recipe.syn


def test_later_rounds_refine_the_maps_of_earlier_ones():
    recipe = Recipe.load("syn").with_options("syn.iterations=[9, 8, 5]", "syn.sigmas=[3, 2, 1]")
    stages = stages_of(recipe, (1,), 2, symmetric=False)
    assert [one.continues for one in stages] == [False, False, False, True]
    syn = recipe_of(stages[-1], recipe).syn
    assert (syn.factors, syn.iterations, syn.sigmas) == ((1.0,), (4,), (1.0,))
    assert syn.contrast == "given" and recipe.syn.contrast == "auto"
    predicted = recipe.with_options("syn.contrast=predicted")
    assert recipe_of(stages[-1], predicted).syn.contrast == "predicted"
    short = recipe_of(stages[-1], recipe.with_options("syn.factors=[1]", "syn.iterations=[1]", "syn.sigmas=[0]")).syn
    assert (short.factors, short.iterations) == ((1.0,), (1,))


@pytest.mark.parametrize("option", ["syn.model=velocity", "syn.directions=j", "budget.max_bending=0.1"])
def test_what_is_limited_as_a_whole_begins_anew(option):
    recipe = Recipe.load("syn").with_options(option)
    assert not any(one.continues for one in stages_of(recipe, (2, 1), 2, symmetric=False))
