"""Preparation of images: off in every preset, of either image or both, and only what makes sense."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import PRESETS, Recipe
from warpline.recipe.prepare import SIDED


def test_no_preset_prepares_anything():
    for recipe in PRESETS.values():
        assert recipe.prepare.is_empty
        assert recipe.prepare.steps_of("fixed") == recipe.prepare.steps_of("moving") == ()


def test_steps_are_of_both_images_unless_said_otherwise():
    recipe = Recipe.load("affine").with_options(
        "prepare.winsorise=[0.01, 0.99]", "prepare.bias_correction=n4", "prepare.bias_correction_of=moving"
    )
    assert recipe.prepare.steps_of("fixed") == ("winsorise",)
    assert recipe.prepare.steps_of("moving") == ("bias_correction", "winsorise")


@pytest.mark.parametrize(
    "setting",
    ["mask=median_otsu", "bias_correction=n4", "denoise=nlmeans", "winsorise=[0, 0.99]", "match_histogram=true"],
)
def test_one_step_is_something(setting):
    recipe = Recipe.load("syn").with_options(f"prepare.{setting}")
    assert not recipe.prepare.is_empty
    off = "false" if setting.startswith("match") else "off"
    assert recipe.with_options(f"prepare.{setting.partition('=')[0]}={off}").prepare.is_empty


@pytest.mark.parametrize(
    "setting",
    [
        "winsorise=[0.9, 0.1]",
        "winsorise=[0.5]",
        "winsorise=[-0.1, 0.9]",
        "winsorise=[0, 1.5]",
        "bias_correction=n3",
        "bias_correction_of=neither",
        "denoise=true",
        "median_radius=0",
        "match_histogram=1",
        "n4=true",
    ],
)
def test_other_values_are_refused(setting):
    with pytest.raises(UsageError, match="prepare"):
        Recipe.load("syn").with_options(f"prepare.{setting}")


def test_every_step_has_a_choice_of_images():
    fields = set(type(Recipe.load("syn").prepare).model_fields)
    assert {f"{step}_of" for step in SIDED} == {name for name in fields if name.endswith("_of")}
