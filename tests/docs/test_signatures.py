"""Signatures show types as they are written."""

from __future__ import annotations

import pytest

from warpline import Image, register
from warpline.metrics import DeformableMetric
from warpline.recipe import Recipe
from warpline.recipe.syn import FurtherTerm
from warpline.space import Chain

as_written = pytest.importorskip("signatures", reason="the extra docs is not installed").as_written


def test_aliases_stay_as_they_are():
    arguments, result = as_written(None, "function", "", register)
    assert arguments.startswith("(fixed: Source, moving: Source, recipe: str | Path | Recipe = 'syn', ")
    assert result == "Registration"


def test_methods_have_no_self_and_classes_no_result():
    assert as_written(None, "method", "", Chain.map_points)[0].startswith("(points: ")
    arguments, result = as_written(None, "class", "", Image)
    assert arguments.startswith("(data: ") and result == ""


def test_options_show_their_defaults_and_no_checks():
    arguments, _ = as_written(None, "class", "", Recipe)
    assert arguments.startswith("(*, name='custom', initialise=Initialise(), linear=Linear(), ")
    assert as_written(None, "class", "", FurtherTerm)[0] == "(*, metric, weight=1.0, contrast=None)"


def test_protocols_have_no_arguments():
    assert as_written(None, "class", "", DeformableMetric) == ("", "")


def test_what_has_no_text_is_left_to_sphinx():
    def evaluated(value): ...

    evaluated.__annotations__ = {"value": int}
    assert as_written(None, "function", "", evaluated) is None
    assert as_written(None, "attribute", "", 3) is None
