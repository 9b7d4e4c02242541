from __future__ import annotations

import json

import pytest

from warpline.cli.main import main
from warpline.cli.recipes import to_toml
from warpline.recipe import PRESETS, Recipe


def test_lists_every_preset(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PRESETS)
    assert lines[0].split()[1:] == ["rigid"]
    assert " x ".join(map(str, PRESETS["syn"].syn.iterations)) in lines[2]
    assert len({line.partition(" ")[2] for line in lines}) == len(lines)  # what sets each apart is shown


@pytest.mark.parametrize("name", PRESETS)
def test_toml_reads_back_as_the_same_recipe(name, tmp_path, capsys):
    assert main(["recipes", name]) == 0
    (tmp_path / "mine.toml").write_text(capsys.readouterr().out)
    assert Recipe.load(tmp_path / "mine.toml") == PRESETS[name]


def test_toml_keeps_what_is_switched_off(tmp_path):
    recipe = PRESETS["syn"].with_options("syn.early_stop=off", "linear=off")
    (tmp_path / "mine.toml").write_text(to_toml(recipe))
    assert Recipe.load(tmp_path / "mine.toml") == recipe


def test_json(capsys):
    assert main(["recipes", "syn", "--json"]) == 0
    assert Recipe.model_validate(json.loads(capsys.readouterr().out)) == PRESETS["syn"]


def test_unknown_name_is_a_usage_error(capsys):
    assert main(["recipes", "sin"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sin" in captured.err
    assert "syn-fast" in captured.err
