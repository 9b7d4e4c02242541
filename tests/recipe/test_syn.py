"""Options of the deformable stage belong together."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import Recipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ("syn.factors=[2, 1]",),
            r"iterations has 3 entries for 2 levels \(factors = \[2, 1\]\): give iterations one entry",
        ),
        (("syn.factors=[2]",), r"iterations has 3 entries for 1 level \(factors"),
        (
            ("syn.sigmas=[1]",),
            r"sigmas has 1 entry for 3 levels \(factors off = 4, 2, 1\): give sigmas one entry per level",
        ),
        (("syn.metric=mutual_information", "syn.contrast=predicted"), "contrast predicted is for local_cc"),
        (
            ('syn.beside=[{metric="self_similarity", contrast="predicted"}]',),
            "contrast predicted is for local_cc and mean_squares, not self_similarity",
        ),
        (('syn.beside=[{metric="nothing"}]',), "syn.beside.0.metric"),
        (('syn.beside=[{metric="local_cc", wieght=1}]',), "choose from metric, weight, contrast"),
        (('syn.beside=[{metric="local_cc", weight=0}]',), "syn.beside.0.weight"),
        (("syn.directions=x",), "axes of the fixed image, or a direction"),
        (("syn.directions=[0, 0, 0]",), "axes of the fixed image, or a direction"),
        (("syn.directions=j", "budget.max_strain=1"), "a budget moves points in all directions"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        Recipe.load("syn").with_options(*settings)


@pytest.mark.parametrize(("text", "value"), [("j", "j"), ("[0, 1, 0]", (0, 1, 0)), ("off", None)])
def test_directions_are_axes_or_a_vector(text, value):
    assert Recipe.load("syn").with_options(f"syn.directions={text}").syn.directions == value


def test_what_a_fourth_level_needs_is_said_and_works():
    four = Recipe.load("syn-smooth"), "syn.iterations=[100, 60, 40, 10]"
    words = (
        r"syn: iterations has 4 entries for 3 levels \(factors off = 4, 2, 1\): add factors = \[8, 4, 2, 1\], or give"
    )
    with pytest.raises(UsageError, match=words):
        four[0].with_options(four[1])
    assert four[0].with_options(four[1], "syn.factors=[8, 4, 2, 1]").syn.factors == (8, 4, 2, 1)


def test_metrics_are_named_once():
    recipe = Recipe.load("syn-contrast")
    assert recipe.syn.metrics == ("local_cc", "self_similarity") and Recipe.load("syn").syn.metrics == ("local_cc",)
