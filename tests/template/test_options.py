"""Options of a template."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import Recipe
from warpline.template import Options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spacing": 0}, "option spacing is 0; a length in mm above 0 is needed"),
        ({"rounds": 0}, "a whole number of at least 1 is needed"),
        ({"step": 1.5}, "a number above 0, at most 1 is needed"),
        ({"sharpen": float("nan")}, "a number from 0 to 1 is needed"),
        ({"symmetric": 1}, "True or False is needed"),
        ({"channels": ("T2 w",)}, "letters and digits only"),
        ({"threads": 0}, "option threads is 0"),
        ({"recipe": Recipe.load("syn").with_options("uncertainty.runs=2")}, "a template keeps no uncertainty"),
    ],
)
def test_values_that_are_not_allowed_are_named(given, message):
    with pytest.raises(UsageError, match=message):
        Options(**given)


def test_velocity_fields_are_kept_where_their_mean_is_taken():
    recipe = Recipe.load("syn")
    assert Options().cohort(recipe).warps == "forward"
    assert Options().cohort(recipe.with_options("syn.model=velocity")).warps == "rounded"


def test_where_it_runs_does_not_decide_how_a_template_looks():
    assert Options(threads=2, workers=0, redo=True).deciding() == Options().deciding()
    assert Options(step=0.5).deciding() != Options().deciding()
