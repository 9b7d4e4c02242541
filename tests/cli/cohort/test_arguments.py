"""Help, and wrong usage."""

from __future__ import annotations

import pytest

from warpline.cli.cohort import ACTIONS
from warpline.cli.main import main


@pytest.mark.parametrize("action", tuple(ACTIONS))
def test_every_action_has_help_with_an_example(action, capsys):
    assert main(["cohort", action, "--help"]) == 0
    assert f"warpline cohort {action}" in capsys.readouterr().out.split("example:\n")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cohort"], "ACTION"),
        (["cohort", "run", "c.tsv"], "OUT"),
        (["cohort", "run", "c.tsv", "out", "--shard", "5/4"], "from 1/N to N/N"),
        (["cohort", "run", "c.tsv", "out", "--max-failures", "3"], "a percentage such as 30% is needed"),
        (["cohort", "run", ".", "out"], "a BIDS folder needs a fixed image"),
        (["cohort", "run", ".", ".", "--recipe", "sin"], "recipe 'sin' is unknown"),
        (["cohort", "init", "x.nii", "--fixed", "f.nii"], "has no {id}"),
        (["cohort", "slurm", "--array", "4", "c.tsv", "out", "--recpe", "x"], "unrecognized arguments: --recpe x"),
        (["cohort", "slurm", "c.tsv", "out", "--shard", "1/2"], "--shard is set by the script"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert message in told
