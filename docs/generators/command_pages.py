"""Reference of the command line, from the parsers that read it."""

from __future__ import annotations

import importlib
import os
import re
from argparse import SUPPRESS, Action, ArgumentParser, _HelpAction, _SubParsersAction
from collections.abc import Iterator
from contextlib import contextmanager

import restructured as rst

from warpline.cli.main import COMMANDS, build_parser

COLUMNS = "100"
"""How wide usage lines are."""

HIDDEN = (_HelpAction, _SubParsersAction)
"""Arguments that need no line: actions have a section each."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the list of commands, then the page of each, its actions below it."""
    with _wide_terminal():
        summaries = {name: importlib.import_module(home).SUMMARY for name, home in COMMANDS.items()}
        yield "commands.rst", _contents(summaries)
        for name in COMMANDS:
            yield f"commands/{name}.rst", _command(parser_of(name))


def parser_of(name: str) -> ArgumentParser:
    """The parser of one command."""
    return _subparsers(build_parser([name]))[name]


def parts_of(parser: ArgumentParser) -> list[ArgumentParser]:
    """A command and its actions."""
    return [parser, *_subparsers(parser).values()]


def _contents(summaries: dict[str, str]) -> str:
    rows = [(f":doc:`warpline {name} <commands/{name}>`", rst.plain(text)) for name, text in summaries.items()]
    pages = rst.block("toctree::", "\n".join(f"commands/{name}" for name in summaries), (":hidden:",))
    table = rst.table(("command", "what it does"), rows)
    said = "What ``warpline COMMAND --help`` prints. Exit codes stand in :doc:`../conventions`."
    return "\n".join([rst.title("Commands"), said, "", table, pages])


def _command(parser: ArgumentParser) -> str:
    actions = _subparsers(parser)
    return "\n".join([_part(parser, "="), *(_part(action, "-") for action in actions.values())])


def _part(parser: ArgumentParser, line: str) -> str:
    usage = re.sub(r"^(usage: | {7})", "", parser.format_usage(), flags=re.MULTILINE)
    example = (parser.epilog or "").partition("\n")[2]
    return "\n".join(
        [
            rst.title(parser.prog, line),
            rst.plain(parser.description or ""),
            "",
            rst.block("code-block:: text", usage),
            rst.block("rubric:: Example"),
            rst.block("code-block:: console", _without_indent(example)),
            rst.block(f"program:: {parser.prog}"),
            *_groups(parser),
        ]
    )


def _groups(parser: ArgumentParser) -> Iterator[str]:
    for group in parser._action_groups:
        shown = [one for one in group._group_actions if one.help is not SUPPRESS and not isinstance(one, HIDDEN)]
        if shown:
            yield rst.block(f"rubric:: {rst.plain(group.title or '')}")
            yield f"{rst.plain(group.description)}\n" if group.description else ""
            yield from (_argument(one, parser) for one in shown)


def _argument(action: Action, parser: ArgumentParser) -> str:
    formatter = parser._get_formatter()
    value = (
        "" if action.nargs == 0 else formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    )
    said = rst.plain(formatter._expand_help(action)) if action.help else ""
    if not action.option_strings:
        name = formatter._format_args(action, formatter._get_default_metavar_for_positional(action))
        return rst.block(f"option:: {name}", said)
    return rst.block("option:: " + ", ".join(f"{flag} {value}".strip() for flag in action.option_strings), said)


def _subparsers(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    for action in parser._actions:
        if isinstance(action.choices, dict) and all(isinstance(one, ArgumentParser) for one in action.choices.values()):
            return dict(action.choices)
    return {}


def _without_indent(text: str) -> str:
    return "\n".join(line.removeprefix("  ") for line in text.splitlines())


@contextmanager
def _wide_terminal() -> Iterator[None]:
    """Lay usage lines out for a page, whatever the terminal that builds it."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
