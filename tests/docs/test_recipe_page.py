"""The reference of recipes has every option, with its meaning, limits and default."""

from __future__ import annotations

import pytest
import recipe_page

from warpline.recipe import PRESETS, Budget, Initialise, Linear, Prepare, Syn
from warpline.recipe.syn import FurtherTerm

((_, PAGE),) = recipe_page.pages()


@pytest.mark.parametrize("model", [Initialise, Linear, Syn, Budget, Prepare, FurtherTerm])
def test_every_option_has_a_meaning(model):
    assert recipe_page.meanings(model).keys() == model.model_fields.keys()
    assert [name for name in model.model_fields if f"``{name}``" not in PAGE] == []


def test_values_and_limits_are_those_of_the_model():
    row = PAGE.split("``radius``")[1].split("* -")[0]
    assert "whole number, ≥ 1, ≤ 8" in row and "``2``" in row
    assert "``local_cc``, ``mean_squares``" in PAGE


def test_every_recipe_is_there_with_what_it_changes():
    assert [name for name in PRESETS if f"* - ``{name}``" not in PAGE] == []
    assert "``syn.total_sigma = 0.58``" in PAGE.split("``syn-smooth``")[1]
