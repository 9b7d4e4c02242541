"""Perturbed runs of a recipe: within range, and only where there is something to perturb."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import PRESETS, Recipe


def test_no_preset_runs_perturbed():
    assert all(recipe.uncertainty.is_empty for recipe in PRESETS.values())
    recipe = Recipe.load("syn").with_options("uncertainty.runs=8")
    assert not recipe.uncertainty.is_empty
    assert recipe.with_options("uncertainty.runs=off").uncertainty.is_empty


@pytest.mark.parametrize("setting", ["runs=1", "runs=0", "runs=-3", "runs=1001", "runs=2.5", "noise=-1", "seed=-1"])
def test_options_out_of_range_are_refused(setting):
    with pytest.raises(UsageError, match=f"uncertainty.{setting.partition('=')[0]}"):
        Recipe.load("syn").with_options(f"uncertainty.{setting}")


def test_something_must_be_perturbed():
    none = ("uncertainty.noise=0", "uncertainty.start=0", "uncertainty.smoothness=0")
    assert Recipe.load("syn").with_options(*none).uncertainty.is_empty
    with pytest.raises(UsageError, match="are all 0, so that every run is the same: raise one"):
        Recipe.load("syn").with_options("uncertainty.runs=4", *none)


def test_what_keeps_no_uncertainty_refuses_it():
    Recipe.load("syn").refuse_uncertainty("a template")
    with pytest.raises(UsageError, match=r"uncertainty.runs is 4, and a template keeps no uncertainty: leave it out"):
        Recipe.load("syn").with_options("uncertainty.runs=4").refuse_uncertainty("a template")


def test_a_stage_must_run():
    assert Recipe.load("rigid").with_options("uncertainty.runs=4").uncertainty.runs == 4
    with pytest.raises(UsageError, match="perturbs stages, and none runs"):
        Recipe.load("rigid").with_options("uncertainty.runs=4", "linear=off")
