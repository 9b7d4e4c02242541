"""``warpline cohort serve``: the pages of a cohort over HTTP, on this machine only."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from warpline.cli.cohort.arguments import count
from warpline.cli.terminal import Terminal
from warpline.errors import InputError, UsageError

SUMMARY = "serve the pages of a cohort on this machine, for a browser that cannot see its files"
EXAMPLE = """\
  warpline cohort serve out
  warpline cohort serve out --port 8080"""

PAGE = "report/index.html"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the action."""
    parser.add_argument("output", metavar="OUT", help="the output folder of a run")
    parser.add_argument("--port", type=count, default=8765, metavar="N", help="default: 8765; 0 takes a free one")


def run(options: Namespace, terminal: Terminal) -> None:
    """Serve until interrupted."""
    with server_of(options.output, options.port) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/{PAGE}"
        terminal.result({"address": address}, address)
        terminal.say("from another machine:  ssh -L PORT:127.0.0.1:PORT HOST;  end with Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            terminal.say("ended")


def server_of(output: str, port: int) -> ThreadingHTTPServer:
    """A server of an output folder, bound to this machine.

    Raises
    ------
    InputError
        When there is no page.
    UsageError
        When the port is taken.
    """
    if not os.path.isfile(os.path.join(output, PAGE)):
        raise InputError(f"{output} has no {PAGE}; run the cohort, or: warpline cohort report {output}")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=os.path.abspath(output)))
    except (OSError, OverflowError) as error:
        raise UsageError(f"port {port} cannot be used: {error}; choose another with --port") from None


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about each request."""
