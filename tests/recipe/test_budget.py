"""Limits of the deformation: within range, and only where something deforms."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import PRESETS, Recipe


def test_a_budget_is_empty_until_something_is_limited():
    assert all(recipe.budget.is_empty for recipe in PRESETS.values())
    recipe = Recipe.load("syn").with_options("budget.max_bending=0.1", "budget.jacobian=[0.2, 5]")
    assert not recipe.budget.is_empty
    assert recipe.budget.jacobian == (0.2, 5.0) and recipe.budget.max_strain is None
    assert recipe.with_options("budget.max_bending=off", "budget.jacobian=off").budget.is_empty


@pytest.mark.parametrize(
    "setting",
    ["jacobian=[2, 5]", "jacobian=[0.2]", "jacobian=[0.2, 1]", "max_bending=0", "max_strain=-1", "max_bending=nan"],
)
def test_a_budget_out_of_range_is_refused(setting):
    with pytest.raises(UsageError, match=f"budget.{setting.partition('=')[0]}"):
        Recipe.load("syn").with_options(f"budget.{setting}")


@pytest.mark.parametrize("settings", [("budget.max_strain=1", "syn=none"), ("syn=none", "budget.max_bending=1")])
def test_a_budget_needs_a_deformable_stage(settings):
    with pytest.raises(UsageError, match=r"--set: recipe 'syn': a budget limits a deformation, and no syn runs"):
        Recipe.load("syn").with_options(*settings)
