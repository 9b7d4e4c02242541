"""Commands with actions: every action has its help and its arguments, and the one that is asked for runs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from types import ModuleType

import pytest

from warpline.cli.actions import add_actions, run_action


@pytest.fixture
def actions(monkeypatch):
    """One action that remembers what it was called with."""
    module = ModuleType("made_action")
    module.SUMMARY, module.EXAMPLE = "say a word", "  tool say hello"
    module.add_arguments = lambda parser: parser.add_argument("word")
    module.run = lambda options, terminal: len(options.word) + terminal
    monkeypatch.setitem(sys.modules, "made_action", module)
    return {"say": "made_action"}


def parsed(actions, *arguments):
    parser = ArgumentParser(prog="tool")
    add_actions(parser, actions)
    return parser.parse_args(arguments)


def test_an_action_has_its_arguments_and_runs(actions):
    options = parsed(actions, "say", "hello", "--quiet")
    assert options.word == "hello" and options.quiet
    assert run_action(options, 2, actions) == 7


def test_an_action_shows_its_example(actions, capsys):
    with pytest.raises(SystemExit):
        parsed(actions, "say", "--help")
    said = capsys.readouterr().out
    assert "Say a word." in said and "tool say hello" in said


def test_an_unknown_action_is_refused(actions, capsys):
    with pytest.raises(SystemExit):
        parsed(actions, "sing")
    assert "say" in capsys.readouterr().err
    with pytest.raises(KeyError):
        run_action(Namespace(action="sing"), None, actions)
