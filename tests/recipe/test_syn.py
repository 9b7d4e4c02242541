"""Options of the deformable stage belong together."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.recipe import Recipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("syn.factors=[2, 1]",), "factors and iterations need one entry per level each"),
        (("syn.sigmas=[1]",), "factors and sigmas need one entry per level each"),
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


def test_metrics_are_named_once():
    recipe = Recipe.load("syn-contrast")
    assert recipe.syn.metrics == ("local_cc", "self_similarity") and Recipe.load("syn").syn.metrics == ("local_cc",)
