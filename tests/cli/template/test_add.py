"""Subjects added from the command line."""

from __future__ import annotations

from template_files import strangers
from warpline.cli.main import main


def test_a_new_subject_that_does_not_fit_shows_in_the_exit_code(out, slices, capsys):
    assert main(["template", "add", str(out), strangers(slices)[1].moving, "--threads", "1"]) == 3
    told = capsys.readouterr()
    assert "left out   noise: " in told.out and "noise is left out: " in told.err
