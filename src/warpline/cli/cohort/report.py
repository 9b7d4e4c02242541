"""``warpline cohort report``: tables and pages, anew from what lies in the folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.cohort.arguments import PAGES

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "write the tables and pages of a cohort anew"
EXAMPLE = """\
  warpline cohort report out
  warpline cohort report out --pages all"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of a run")
    parser.add_argument("--pages", choices=PAGES, default="flagged", help="which pairs get a page; default: flagged")


def run(options: Namespace, terminal: Terminal) -> None:
    """Write them."""
    write_again(options.output, options.pages, terminal)


def write_again(output: str, pages: str, terminal: Terminal) -> None:
    """Write tables and pages, and say where they are."""
    from warpline import cohort
    from warpline.cohort.outliers import not_compared

    page = cohort.report(output, pages=pages, say=terminal.say)  # type: ignore[arg-type]
    few = not_compared(sum(result.verdict is not None for result in cohort.read_results(output)))
    terminal.result({"page": str(page), "not_compared": few or None}, f"wrote {page}", *filter(None, [few]))
