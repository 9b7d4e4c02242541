"""Limits on the deformation on the command line: into the recipe, and errors that say what is allowed."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

import pytest

from warpline.cli.budget import add_budget, bending, determinants, strain, with_budget
from warpline.errors import UsageError
from warpline.recipe import PRESETS, Budget


def parsed(*arguments):
    parser = ArgumentParser()
    add_budget(parser)
    return parser.parse_args(arguments)


def test_limits_reach_the_recipe():
    arguments = parsed("--max-bending", "0.1", "--jacobian", "0.2,5", "--max-strain", "0.7")
    recipe = with_budget(PRESETS["syn"], arguments)
    assert recipe.budget == Budget(max_bending=0.1, jacobian=(0.2, 5.0), max_strain=0.7)
    assert recipe.syn == PRESETS["syn"].syn


def test_no_limits_leave_the_recipe():
    assert with_budget(PRESETS["syn"], parsed()) == PRESETS["syn"]
    assert with_budget(PRESETS["affine"], parsed()) == PRESETS["affine"]


def test_limits_add_to_those_of_the_recipe():
    recipe = PRESETS["syn"].with_options("budget.max_strain=1")
    assert with_budget(recipe, parsed("--max-bending", "1e-3")).budget == Budget(max_bending=1e-3, max_strain=1.0)


def test_a_linear_recipe_has_nothing_to_limit():
    with pytest.raises(UsageError, match=r"--max-bending, --jacobian: recipe 'affine' runs no deformable stage"):
        with_budget(PRESETS["affine"], parsed("--max-bending", "0.1", "--jacobian", "0.2,5"))


@pytest.mark.parametrize(
    "text", ["2,5", "0.2,0.9", "1,1", "0.5", "0.2,5,9", "", "a,b", "nan,5", "0.2,inf", "-1,5", "0,5"]
)
def test_determinants_lie_around_1(text):
    with pytest.raises(ArgumentTypeError, match=r"is not allowed; LOW,HIGH is needed, LOW from 1e-06 to 0.999"):
        determinants(text)


@pytest.mark.parametrize("read", [bending, strain])
@pytest.mark.parametrize("text", ["0", "-0.1", "nan", "inf", "1e9", "", "much"])
def test_other_limits_are_numbers_above_0(read, text):
    with pytest.raises(ArgumentTypeError, match="is not allowed; a number from"):
        read(text)
