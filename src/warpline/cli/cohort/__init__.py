"""``warpline cohort``: many registrations, unattended; one module per action, one table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "register a whole cohort: resume, failures told apart, quality control, one page to read"
EXAMPLE = """\
  warpline cohort init "data/{id}_T1w.nii.gz" --fixed template.nii.gz -o cohort.tsv
  warpline cohort check cohort.tsv out
  warpline cohort run cohort.tsv out --workers 4
  warpline cohort run bids out --fixed template.nii.gz --participant-label 01 02"""

ACTIONS = {
    "init": "warpline.cli.cohort.init",
    "check": "warpline.cli.cohort.check",
    "run": "warpline.cli.cohort.run_pairs",
    "status": "warpline.cli.cohort.status",
    "report": "warpline.cli.cohort.report",
    "summarise": "warpline.cli.cohort.summarise",
    "serve": "warpline.cli.cohort.serve",
    "slurm": "warpline.cli.cohort.slurm",
}
"""Name to module; the module is like that of a command."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of every action."""
    from warpline.cli.actions import add_actions

    add_actions(parser, ACTIONS)


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Do one action."""
    from warpline.cli.actions import run_action

    return run_action(options, terminal, ACTIONS)
