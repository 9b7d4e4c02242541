"""Options are of their kind, and bounded."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import Recipe, Syn


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("syn.radius=true", "syn.radius = True: a number is needed"),
        ('syn.step="0.1"', "syn.step = '0.1': a number is needed"),
        ("syn.iterations=[10, true, 10]", r"syn.iterations = \[10, True, 10\]: a number is needed"),
        ('budget.jacobian=["0.2", 5]', "a number is needed, without quotation marks"),
        ("initialise.rotations=1", "initialise.rotations = 1: true or false is needed"),
        ("budget.jacobian=0.2,5", r"budget.jacobian = '0.2,5': 2 values are needed, written as \[A, B\]"),
    ],
)
def test_what_only_looks_like_a_value_is_refused(setting, words):
    with pytest.raises(UsageError, match=words):
        Recipe.load("syn").with_options(setting)


def test_whole_numbers_and_lists_are_taken_from_python():
    assert Syn(step=1, iterations=[3, 2, 1]).iterations == (3, 2, 1)


@pytest.mark.parametrize(
    "setting",
    ["syn.factors=[1e9,2,1]", "syn.update_sigma=1e6", "syn.total_sigma=1e6", "linear.refinements=10000000",
     "syn.iterations=[1000000000,1,1]", "linear.voxel_sizes=[1e9,2,1]", "syn.early_stop=2", "syn.contrast_floor=7"],
)  # fmt: skip
def test_every_number_has_an_upper_bound(setting):
    with pytest.raises(UsageError, match=r"at most .* is allowed"):
        Recipe.load("syn").with_options(setting)


def test_no_number_of_a_recipe_is_without_bounds():
    """Also of options that will be added: every number in the schema has a largest value."""
    schemas = Recipe.model_json_schema()
    options = [option for table in schemas["$defs"].values() for option in table["properties"].items()]
    numbers = [(name, part) for name, option in options for part in parts_of(option)]
    assert len(numbers) > 10
    assert [name for name, part in numbers if "maximum" not in part] == []
    assert [name for name, option in options if option.get("type") == "array" and "maxItems" not in option] == []


def parts_of(option):
    """The parts of a schema that stand for a number."""
    inner = [option.get("items"), *option.get("anyOf", ())]
    own = [option] if option.get("type") in ("number", "integer") else []
    return own + [part for one in inner if one for part in parts_of(one)]
