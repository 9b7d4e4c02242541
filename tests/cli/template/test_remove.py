"""Subjects removed from the command line."""

from __future__ import annotations

from warpline.cli.main import main


def test_those_that_stay_are_counted(out, capsys):
    assert main(["template", "remove", str(out), "sub-1"]) == 0
    assert "subjects   4, correlation" in capsys.readouterr().out
    assert main(["template", "remove", str(out), "sub-1"]) == 2
    assert "'sub-1' is not in the template" in capsys.readouterr().err
