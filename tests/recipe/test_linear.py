"""Options of the linear stages belong together."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import Recipe


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "linear.iterations=[10, 5]",
            r"iterations has 2 entries for 3 levels \(voxel_sizes off = 6, 4, 1.5\): add voxel_sizes = \[4, 1.5\], or",
        ),
        ("linear.stages=[]", "linear.stages = "),
        ('linear.stages=["bent"]', "linear.stages.0 = 'bent': translation, .* such as 'tx,ty,rz', each once, of tx, "),
        ('linear.stages=["tx,tx"]', "linear.stages.0 = 'tx,tx': .* each once"),
        ('linear.stages=["rigid", "tx,"]', "linear.stages.1 = 'tx,'"),
        (("initialise.search=always", "initialise.rotations=false"), "search always tries rotations"),
    ],
)
def test_levels_and_stages_are_checked(setting, words):
    with pytest.raises(UsageError, match=words):
        Recipe.load("rigid").with_options(*([setting] if isinstance(setting, str) else setting))


def test_degrees_of_freedom_are_put_in_order():
    recipe = Recipe.load("rigid").with_options('linear.stages=["translation", "rz, ty,tx"]')
    assert recipe.linear.stages == ("translation", "tx,ty,rz")


def test_levels_of_its_own_may_be_more_than_three():
    recipe = Recipe.load("rigid").with_options("linear.voxel_sizes=[8, 6, 4, 2]", "linear.iterations=[9, 8, 7, 6]")
    assert recipe.linear.voxel_sizes == (8, 6, 4, 2) and recipe.linear.iterations == (9, 8, 7, 6)
