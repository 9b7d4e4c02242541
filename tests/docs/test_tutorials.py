"""The gallery has every lesson; `make docs` runs them."""

from __future__ import annotations

import ast
from pathlib import Path

import tutorial_order

FOLDER = Path(__file__).parents[2] / "examples" / "tutorials"


def test_every_lesson_has_its_place():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(tutorial_order.LESSONS)
    assert tutorial_order.by_lesson("resampling.py") == 0


def test_every_lesson_begins_with_a_title():
    for path in FOLDER.glob("*.py"):
        title, line, *_ = ast.get_docstring(ast.parse(path.read_text())).splitlines()
        assert line == "=" * len(title)
