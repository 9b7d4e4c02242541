"""``warpline cohort serve``: the pages of a cohort over HTTP, on this machine only."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from warpline.cli.cohort.arguments import count
from warpline.errors import InputError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

SUMMARY = "serve the pages of a cohort on this machine, for a browser that cannot see its files"
EXAMPLE = """\
  warpline cohort serve out
  warpline cohort serve out --port 8080"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of a run")
    parser.add_argument("--port", type=count, default=8765, metavar="N", help="default: 8765; 0 takes a free one")


def run(options: Namespace, terminal: Terminal) -> None:
    """Serve until interrupted."""
    from warpline.cohort.layout import PAGE
    from warpline.cohort.page_server import PageServer

    folder = Path(options.output)
    if not (folder / PAGE).is_file():
        raise InputError(f"{folder} has no {PAGE}; run the cohort, or: warpline cohort report {folder}")
    with PageServer(folder, options.port) as server:
        address = server.address(PAGE)
        terminal.result({"address": address}, address)
        terminal.say("the address is the key: who has it reads the folder while this runs")
        terminal.say("from another machine:  ssh -L PORT:127.0.0.1:PORT HOST;  end with Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            terminal.say("ended")
