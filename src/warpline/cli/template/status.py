"""``warpline template status``: how a template goes, or what it became."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from warpline.cli.template.arguments import record_of, shown

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "say which rounds of a template are done, who is in it and who is left out; works while it is built"
EXAMPLE = """\
  warpline template status out
  warpline template status out --json"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of the template")


def run(options: Namespace, terminal: Terminal) -> None:
    """Say what lies in the folder."""
    from warpline import template

    found = template.status(options.output)
    if isinstance(found, template.Template):
        subjects = [f"{one.id:<24} fit {one.fit:.3f}  weight {one.weight:.2f}" for one in found.subjects]
        terminal.result({**record_of(found), "finished": True}, *shown(found), "", *subjects)
        return
    lines = [template.described(one) for one in found.rounds]
    left_out = [f"left out   {one.id}: {one.reason}" for one in found.left_out]
    record = {"finished": False, "rounds": [one.as_record() for one in found.rounds]}
    record["left_out"] = [vars(one) for one in found.left_out]
    terminal.result(record, *lines, *left_out, "not finished: the command that began it goes on")
