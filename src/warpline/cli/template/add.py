"""``warpline template add``: further subjects in a finished template."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.template.arguments import add_where, finished, left_out_of

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "register further subjects to a finished template, and average it anew with them"
EXAMPLE = """\
  warpline template add out sub-11_T1w.nii.gz sub-12_T1w.nii.gz
  warpline template add out further.tsv"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of the template")
    parser.add_argument(
        "source", nargs="+", metavar="FILE|MANIFEST|BIDS", help="an image of each new subject, or a table of them"
    )
    parser.add_argument("--suffix", default="T1w", help="of the images in a BIDS folder; default: T1w")
    add_where(parser)


def run(options: Namespace, terminal: Terminal) -> int:
    """Add them, say how it ended."""
    from warpline import template

    names = ("suffix", "backend", "threads", "workers", "time_limit")
    where = template.Options(**{name: getattr(options, name) for name in names})
    known = left_out_of(options.output)
    return finished(
        lambda: template.add(options.output, options.source, where, say=terminal.say), known, options, terminal
    )
