"""Recipes from the options of DIPY's optimisers."""

from __future__ import annotations

import pytest

from warpline.dipy.recipes import linear_recipe, syn_recipe
from warpline.errors import UsageError


def test_a_recipe_has_one_stage_and_no_search_for_a_start():
    deformable, linear = syn_recipe(radius=3), linear_recipe(bins=16)
    assert deformable.linear is None and deformable.syn.radius == 3
    assert linear.syn is None and linear.linear.bins == 16
    assert {deformable.initialise.method, linear.initialise.method} == {"identity"}


@pytest.mark.parametrize(("build", "option"), [(syn_recipe, "radius"), (linear_recipe, "bins")])
def test_an_option_out_of_range_is_named(build, option):
    with pytest.raises(UsageError, match=f"{option} = -1: at least [18] is needed"):
        build(**{option: -1})
