"""``--prepare``: steps reach the recipe, and what is none is refused with all that there are."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

import pytest

from warpline.cli.preparation import STEPS, add_preparation, steps, with_preparation
from warpline.recipe import PRESETS, Prepare
from warpline.recipe.prepare import QUANTILES


def recipe_of(*arguments, recipe="syn"):
    parser = ArgumentParser()
    add_preparation(parser)
    return with_preparation(PRESETS[recipe], parser.parse_args(arguments))


def test_no_steps_leave_the_recipe():
    assert recipe_of() == PRESETS["syn"]


def test_steps_reach_the_recipe():
    recipe = recipe_of("--prepare", ",".join(STEPS))
    asked = {"mask": "median_otsu", "bias_correction": "n4", "denoise": "nlmeans", "winsorise": QUANTILES}
    assert recipe.prepare == Prepare(**asked, match_histogram=True)
    assert recipe.syn == PRESETS["syn"].syn


def test_a_step_may_change_one_image_only():
    recipe = recipe_of("--prepare", "n4:moving, nlmeans:fixed", "--prepare", "match_histogram:moving", recipe="rigid")
    expected = {"bias_correction": "n4", "bias_correction_of": "moving", "denoise": "nlmeans", "denoise_of": "fixed"}
    assert recipe.prepare == Prepare(**expected, match_histogram=True)


@pytest.mark.parametrize("text", ["", "n3", "n4,,winsorise", "N4", "n4=1"])
def test_an_unknown_step_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="choose from median_otsu, n4, nlmeans, winsorise, match_histogram"):
        steps(text)


@pytest.mark.parametrize(("text", "allowed"), [("n4:", "fixed or moving"), ("match_histogram:fixed", "moving")])
def test_an_unknown_image_is_refused(text, allowed):
    with pytest.raises(ArgumentTypeError, match=f"after the colon stands {allowed}"):
        steps(text)
