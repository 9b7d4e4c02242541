"""What was meant, and what is repeated of a value."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from warpline.errors import UsageError
from warpline.recipe import PRESETS, Recipe, Syn
from warpline.recipe.messages import message_of, shortened

ODD = (
    None,
    "word",
    "[word]",
    3,
    0.5,
    -1e9,
    1e9,
    2**70,
    float("nan"),
    True,
    [],
    [1],
    ["a"],
    [1.0] * 20,
    {"a": 1},
    "x" * 300,
)


def test_long_values_are_cut():
    assert shortened(3) == "3"
    assert len(shortened("x" * 1000)) < 100


def test_a_section_alone_has_messages_too():
    with pytest.raises(ValidationError) as caught:
        Syn(iterations=(1, 2))
    assert message_of(caught.value, Syn).startswith("iterations has 2 entries for 3 levels")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("syn.beside=[{metrc='local_cc'}]", "syn.beside.0.metrc = 'local_cc': no such option; did you mean 'metric'?"),
        ("prepare.winsorise=[0.1]", "prepare.winsorise = [0.1]: 2 values are needed"),
        ("prepare.winsorise=[0.1, 0.2, 0.3]", "prepare.winsorise = [0.1, 0.2, 0.3]: 2 values are needed"),
        ("linear.stages=[rigid]", 'written as ["rigid", "affine"]: text in a list needs quotation marks'),
        ("linear.stages=[]", "linear.stages = []: too few: 1 or more are needed"),
        ("syn.iterations=5", "syn.iterations = 5: several numbers are needed, written as [1, 2]"),
        ("syn.beside=5", "several tables are needed, written as [{KEY = VALUE}, {KEY = VALUE}]"),
        ("syn.beside=[5]", "syn.beside.0 = 5: a table is needed, written as {KEY = VALUE}"),
        ("syn.radius=off", "syn.radius = off: a whole number is needed"),
        ("syn.radius=9", "syn.radius = 9: at most 8 is allowed"),
        ("linear.samples=1e30", "linear.samples = 1e+30: a whole number is needed"),
        ("linear.samples=99999999", "linear.samples = 99999999: at most 8388608 is allowed"),
        ("budget.jacobian=[0.9999, 2]", "budget.jacobian.0 = 0.9999: at most 0.999 is allowed"),
        ("iterations=[1]", "did you mean linear.iterations or syn.iterations? choose from name, "),
        ("base=affine", "use --recipe to name the recipe to start from"),
    ],
)
def test_errors_say_what_is_to_be_written(setting, words):
    with pytest.raises(UsageError) as caught:
        PRESETS["syn"].with_options(setting)
    assert words in str(caught.value)


def test_the_base_of_a_file_is_an_option_of_it(tmp_path):
    (tmp_path / "a.toml").write_text('bse = "affine"\n', encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"bse = 'affine': no such option; did you mean 'base'\? choose from base, name"
    ):
        Recipe.load(tmp_path / "a.toml")


def test_no_words_of_pydantic_remain():
    options = PRESETS["syn"].model_dump()
    seen = 0
    for section in [name for name, values in options.items() if isinstance(values, dict)]:
        for key in options[section]:
            for value in ODD:
                try:
                    Recipe.from_values({**options, section: {**options[section], key: value}}, "a")
                except UsageError as error:
                    seen += 1
                    assert not re.search(r"Input|Tuple|String|validation|valid ", str(error)), error
    assert seen > 500
