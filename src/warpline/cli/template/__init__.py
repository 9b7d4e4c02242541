"""``warpline template``: the mean of several subjects; one module per action, one table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "make a template, the mean shape and mean image of several subjects; add subjects later, or remove some"
EXAMPLE = """\
  warpline template build sub-*_T1w.nii.gz out
  warpline template build subjects.tsv out --symmetric --channel T2w
  warpline template add out sub-11_T1w.nii.gz
  warpline template remove out sub-03
  warpline template status out"""

ACTIONS = {
    "build": "warpline.cli.template.build",
    "add": "warpline.cli.template.add",
    "remove": "warpline.cli.template.remove",
    "status": "warpline.cli.template.status",
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
