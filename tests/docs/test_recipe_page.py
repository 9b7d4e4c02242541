"""The reference of recipes has every option, with its meaning, limits and default."""

from __future__ import annotations

import importlib
import re

import api_pages
import pytest
import recipe_page

from warpline.recipe import PRESETS, Budget, Initialise, Linear, Prepare, Syn, Uncertainty
from warpline.recipe.syn import FurtherTerm

((_, PAGE),) = recipe_page.pages()


def row_of(option):
    return PAGE.split(f"* - ``{option}``")[1].split("* -")[0]


@pytest.mark.parametrize("model", [Initialise, Linear, Syn, Budget, Prepare, Uncertainty, FurtherTerm])
def test_every_option_has_a_meaning(model):
    assert recipe_page.meanings(model).keys() == model.model_fields.keys()
    assert [name for name in model.model_fields if f"``{name}``" not in PAGE] == []


def test_values_and_limits_are_those_of_the_model():
    row = row_of("radius")
    assert "whole number, ≥ 1, ≤ 8" in row and "``2``" in row
    assert "``local_cc``, ``mean_squares``" in PAGE
    assert "≤ 8388608" in row_of("samples") and "≥ 1e-09, ≤ 1000000 or ``off``" in row_of("max_bending")
    assert "list of 2: number, ≥ 1e-06, ≤ 0.999; number, ≥ 1.001" in row_of("jacobian")


def test_every_recipe_is_there_with_what_it_changes():
    assert [name for name in PRESETS if f"* - ``{name}``" not in PAGE] == []
    assert "``syn.total_sigma = 0.58``" in PAGE.split("``syn-smooth``")[1]


def test_what_is_switched_off_is_called_off_everywhere():
    assert PAGE.count("None") == 1
    assert [word for word in ("TransformModel", "FREEDOMS", ">>>") if word in PAGE] == []
    assert ":py:obj:`warpline.evaluation.bending_energy`" in row_of("max_bending")


def test_every_name_that_an_option_leads_to_has_a_page():
    rooms = dict(api_pages.pages()).keys()
    for name in re.findall(r":py:obj:`([^`]+)`", PAGE):
        room, _, last = name.rpartition(".")
        pages = {f"api/{name}.rst", f"api/{room}.rst"} & rooms
        assert pages, name
        assert f"api/{name}.rst" in rooms or api_pages.is_documented(getattr(importlib.import_module(room), last)), name
