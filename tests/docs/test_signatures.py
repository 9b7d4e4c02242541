"""Signatures show types as they are written."""

from __future__ import annotations

import pytest

from warpline import Image, register
from warpline.recipe import Recipe
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


def test_what_has_no_text_is_left_to_sphinx():
    assert as_written(None, "class", "", Recipe) is None
    assert as_written(None, "attribute", "", 3) is None
