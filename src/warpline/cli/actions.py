"""Commands with actions of their own, such as ``warpline cohort``: one module per action, one table per command."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from warpline.cli.options import add_talk

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

Actions = Mapping[str, str]
"""Name of an action to its module, which is like that of a command."""


def add_actions(parser: ArgumentParser, actions: Actions) -> None:
    """Declare the arguments of every action."""
    parsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION", prog=parser.prog)
    for name, home in actions.items():
        module = importlib.import_module(home)
        action = parsers.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY[0].upper() + module.SUMMARY[1:] + ".",
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=parser.formatter_class,
        )
        module.add_arguments(action)
        add_talk(action, nested=True)


def run_action(options: Namespace, terminal: Terminal, actions: Actions) -> int | None:
    """Do the action that was asked for."""
    code: int | None = importlib.import_module(actions[options.action]).run(options, terminal)
    return code
