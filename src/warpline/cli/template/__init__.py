"""``warpline template``: the mean of several subjects; one module per action, one table."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.options import add_talk

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
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", prog=parser.prog)
    for name, home in ACTIONS.items():
        module = importlib.import_module(home)
        action = actions.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY[0].upper() + module.SUMMARY[1:] + ".",
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=parser.formatter_class,
        )
        module.add_arguments(action)
        add_talk(action, nested=True)


def run(options: Namespace, terminal: Terminal) -> int | None:
    """Do one action."""
    code: int | None = importlib.import_module(ACTIONS[options.action]).run(options, terminal)
    return code
