"""``warpline template remove``: a finished template without some of its subjects."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.template.arguments import add_where, finished, left_out_of

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "average a finished template anew without some of its subjects; nothing is registered"
EXAMPLE = "  warpline template remove out sub-03 sub-07"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of the template")
    parser.add_argument("subjects", nargs="+", metavar="SUBJECT", help="their ids, as status shows them")
    add_where(parser)


def run(options: Namespace, terminal: Terminal) -> int:
    """Remove them, say how it ended."""
    from warpline import template

    where = template.Options(backend=options.backend, threads=options.threads)
    known = left_out_of(options.output)
    return finished(
        lambda: template.remove(options.output, options.subjects, where, say=terminal.say), known, options, terminal
    )
