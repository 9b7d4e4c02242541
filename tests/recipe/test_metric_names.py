"""Which deformable metrics a recipe may name."""

from __future__ import annotations

import pytest

from warpline.errors import UsageError
from warpline.metrics import DEFORMABLE_METRICS
from warpline.recipe import Recipe, Syn
from warpline.recipe.metric_names import BUILT_IN, known_names


def test_names_of_the_package_are_those_of_its_table():
    assert [*BUILT_IN] == [*DEFORMABLE_METRICS] == known_names()


def test_a_metric_of_a_script_is_known_once_it_is_entered(monkeypatch, tmp_path):
    (tmp_path / "own.toml").write_text('[syn]\nmetric = "own"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"syn\.metric = 'own': choose from local_cc, mean_squares, "):
        Recipe.load(tmp_path / "own.toml")
    monkeypatch.setitem(DEFORMABLE_METRICS, "own", DEFORMABLE_METRICS["mean_squares"])
    assert Recipe.load(tmp_path / "own.toml").syn.metric == "own"
    beside = Recipe.load("syn").with_options('syn.beside=[{metric="own"}]')
    assert beside.syn.metrics == ("local_cc", "own")
    assert Syn.model_validate(beside.syn.model_dump()) == beside.syn
