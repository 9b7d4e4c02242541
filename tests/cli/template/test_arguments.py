"""Help, wrong usage, and what all actions say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warpline.cli.main import main
from warpline.cli.template import ACTIONS
from warpline.cli.template.arguments import left_out_of, shown
from warpline.template import LeftOut


@pytest.mark.parametrize("action", tuple(ACTIONS))
def test_every_action_has_help_with_an_example(action, capsys):
    assert main(["template", action, "--help"]) == 0
    assert f"warpline template {action}" in capsys.readouterr().out.split("example:\n")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["template"], "ACTION"),
        (["template", "build", "a.nii"], "OUT"),
        (["template", "build", "a.nii", "b.nii", "out", "--spacing", "0"], "--spacing"),
        (["template", "build", "a.nii", "b.nii", "out", "--step", "2"], "option step is 2.0"),
        (["template", "build", "a.nii", "b.nii", "out", "--recipe", "sin"], "recipe 'sin' is unknown"),
        (["template", "remove", "out"], "SUBJECT"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert message in told


def test_who_is_left_out_has_a_line_of_its_own(built):
    lines = shown(replace(built, left_out=(LeftOut("sub-9", "does not fit"),), warnings=("few",)))
    assert lines[-2:] == ["left out   sub-9: does not fit", "warning    few"]
    assert left_out_of(built.folder) == frozenset()
