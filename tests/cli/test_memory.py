"""``--memory`` and ``--plan``: what is printed before the work, or in place of it."""

from __future__ import annotations

import json

import pytest

from warpline.cli.main import main
from warpline.cli.memory import plan_lines
from warpline.recipe import Recipe
from warpline.registration import plan_memory
from warpline.space.grid import Grid

QUICK = ("--set", "syn.iterations=[10,5,2]", "--set", "linear.iterations=[10,5,2]", "--threads", "1")
TIGHT = "0.502"
"""GB that hold the program and the pair of these tests at half its resolution."""


@pytest.fixture
def command(pair, tmp_path):
    return "register", pair["fixed"], pair["moving"], "-o", f"{tmp_path}/out/a_"


def test_a_plan_is_printed_and_nothing_else_is_done(command, tmp_path, capsys):
    assert main([*command, "--memory", TIGHT, "--plan"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("memory ") and "0.50 GB asked for" in lines[0]
    assert lines[1] == (
        "registered on  voxels of 12 mm, blocks of 2 x 2 x 2 voxels of the fixed and 2 x 2 x 2 of the moving image"
    )
    assert lines[-1].endswith("32 x 37 x 32 voxels, 0.00 GB, left out: does not fit")
    assert not (tmp_path / "out").exists()


def test_a_plan_is_json_too(command, call):
    record = call(*command, "--plan", "--memory", TIGHT)
    assert record["asked"] and record["limit"] == 502_000_000 and record["blocks"] == [[2, 2, 2], [2, 2, 2]]


def test_it_is_said_before_the_work_and_in_the_report(command, tmp_path, capsys):
    assert main([*command, *QUICK, "--memory", TIGHT]) == 0
    captured = capsys.readouterr()
    said = captured.err.splitlines()
    assert said[0].startswith("memory ") and said[1].startswith("registered on ")
    assert "images were registered at 12 mm" in captured.out
    memory = json.loads((tmp_path / "out" / "a_report.json").read_text())["memory"]
    assert memory["left_out"][0]["shape"] == [32, 37, 32]
    assert memory["peak"] > 10**7


def test_small_images_are_registered_without_a_word(command, capsys):
    assert main([*command, *QUICK]) == 0
    assert "memory" not in capsys.readouterr().err


def test_memory_is_a_number_above_0(command, refused):
    assert "'0' is not allowed; a number above 0 is needed" in refused(2, *command, "--memory", "0")


def test_too_little_is_one_line_and_leaves_nothing(command, refused, tmp_path):
    assert "these images need 0.50 GB" in refused(2, *command, "--memory", "0.1")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_lines_say_when_the_grids_of_the_images_are_taken():
    grid = Grid((40, 40, 40), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    plan = plan_memory(grid, grid, Recipe.load("syn"), image_bytes=10**6, memory=4)
    assert plan_lines(plan)[1] == "registered on  the grids of the images"
