"""The entry point of ``warpline``: the table of commands, and what their errors become."""

from __future__ import annotations

import importlib
import os
import sys
from argparse import Action, ArgumentParser, HelpFormatter, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from warpline.cli.options import ShowVersion, add_talk
from warpline.cli.signals import Stopped, stoppable
from warpline.cli.streams import may_be_terminal, open_standard_streams, writing_result
from warpline.errors import OutputError, UsageError, WarplineError

if TYPE_CHECKING:
    from warpline.cli.terminal import Terminal

__all__ = ["main"]

COMMANDS = {
    "register": "warpline.cli.register",
    "apply": "warpline.cli.apply",
    "apply-points": "warpline.cli.apply_points",
    "compose": "warpline.cli.compose",
    "invert": "warpline.cli.invert",
    "convert": "warpline.cli.convert",
    "jacobian": "warpline.cli.jacobian",
    "info": "warpline.cli.info",
    "check-header": "warpline.cli.check_header",
    "evaluate": "warpline.cli.evaluate",
    "cohort": "warpline.cli.cohort",
    "label": "warpline.cli.label",
    "series": "warpline.cli.series",
    "cite": "warpline.cli.cite",
    "template": "warpline.cli.template",
    "longitudinal": "warpline.cli.longitudinal",
    "recipes": "warpline.cli.recipes",
    "demo": "warpline.cli.demo",
    "doctor": "warpline.cli.doctor",
}
"""Name to module; the module has ``SUMMARY``, ``EXAMPLE``, ``add_arguments(parser)`` and ``run(options, terminal)``.

``run`` returns an exit code where 0 would not be the whole truth, else None.
"""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells give it."""


class PlainHelp(RawDescriptionHelpFormatter):
    """Names the value of an option once, as rich-argparse does, and Python itself from 3.13 on."""

    def _format_action_invocation(self, action: Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


def help_formatter() -> type[HelpFormatter]:
    """What lays out help texts as they are written: in colours on a terminal."""
    if not may_be_terminal(sys.stdout):
        return PlainHelp
    from rich_argparse import RawDescriptionRichHelpFormatter

    class Coloured(RawDescriptionRichHelpFormatter):
        """Square brackets in examples are no markup."""

        text_markup = False
        help_markup = False
        group_name_formatter = str

    return Coloured


class Parser(ArgumentParser):
    """Reports wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        if message.endswith("expected one argument"):
            flag = message.split()[1].rstrip(":").rpartition("/")[2]
            message += f"; a value that begins with - is written {flag}=-1"
        self.exit(UsageError.exit_code, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process when None.

    Returns
    -------
    int
        0 done; 1 unexpected error; 2 wrong usage; 5 bad input or output; 6 no usable device; 130 interrupted, 143 by
        SIGTERM, 129 by SIGHUP. Of ``register`` also 7 the result is wrong; of ``series register`` also 7
        some volumes cannot be aligned; of ``check-header`` 8 a header is doubtful.
        Of cohorts also 3 some pairs failed, or are left out of a summary;
        4 stopped for too many failures; 75 stopped by a signal, to be resumed. Of
        templates also 3 subjects were left out; 75.

    Examples
    --------
    >>> import warpline
    >>> from warpline.cli.main import main
    >>> warpline.write_transform(warpline.Affine.identity(), "there.mat")
    >>> code = main(["invert", "-t", "there.mat", "-o", "back.mat"])
    wrote back.mat: moving to fixed; with the two images exchanged, the file stores fixed to moving
    >>> code
    0
    """
    open_standard_streams()
    arguments = (_typed() if argv is None else list(argv)) or ["--help"]
    options: Namespace | None = None
    try:
        with writing_result():  # help and version
            options = build_parser(arguments).parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    except OutputError as error:
        print(f"warpline: error: {error}", file=sys.stderr)
        return error.exit_code
    if options is None:  # the reader of the help text has closed the pipe
        return 0
    from warpline.cli.terminal import Terminal

    terminal = Terminal(options.command, json=options.json, quiet=options.quiet, verbose=options.verbose)
    with terminal, stoppable():
        return _run(options.run, options, terminal)


def _typed() -> list[str]:
    """The arguments of the process; on Windows, patterns of file names are expanded here."""
    if os.name != "nt":
        return sys.argv[1:]
    from warpline.cli.patterns import expanded

    return expanded(sys.argv[1:])


def _run(command: Callable[[Namespace, Terminal], int | None], options: Namespace, terminal: Terminal) -> int:
    try:
        return command(options, terminal) or 0
    except WarplineError as error:
        terminal.fail(str(error))
        return error.exit_code
    except Stopped as signal:
        terminal.fail(f"{signal}; what was half-written is taken away")
        return signal.exit_code
    except KeyboardInterrupt:
        terminal.fail("interrupted")
        return INTERRUPTED
    except Exception as error:
        if options.verbose:
            import traceback

            traceback.print_exc()
        hint = "" if options.verbose else "; run it again with -v for the traceback"
        terminal.fail(f"unexpected {type(error).__name__}: {error}{hint}")
        return 1


def build_parser(arguments: Sequence[str]) -> ArgumentParser:
    """Build the parser of the command that `arguments` start with; with none, of the names of all commands."""
    formatter = help_formatter()
    parser = Parser(
        prog="warpline",
        description="Registers medical volumes: finds the invertible map that carries one image onto another.",
        epilog="Start with:  warpline demo",
        formatter_class=formatter,
    )
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", prog=parser.prog)
    called = [name for name in arguments[:1] if name in COMMANDS]
    for name in called or COMMANDS:
        module = importlib.import_module(COMMANDS[name])
        command = _add_command(commands.add_parser, name, module, formatter)
        if called:
            module.add_arguments(command)
            add_talk(command)
            command.set_defaults(run=module.run)
    return parser


def _add_command(
    add_parser: Callable[..., ArgumentParser], name: str, module: ModuleType, formatter: type[HelpFormatter]
) -> ArgumentParser:
    return add_parser(
        name,
        help=module.SUMMARY,
        description=module.SUMMARY[0].upper() + module.SUMMARY[1:] + ".",
        epilog=f"example:\n{module.EXAMPLE}",
        formatter_class=formatter,
    )
