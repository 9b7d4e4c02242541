"""The reference of the command line has every command, action and option."""

from __future__ import annotations

import argparse

import command_pages
import pytest

from warpline.cli.main import COMMANDS

PAGES = dict(command_pages.pages())


def test_every_command_is_listed():
    assert [name for name in COMMANDS if f"commands/{name}" not in PAGES["commands.rst"]] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_every_option_and_example(name):
    page = PAGES[f"commands/{name}.rst"]
    for parser in command_pages.parts_of(command_pages.parser_of(name)):
        assert f"\n.. program:: {parser.prog}\n" in page
        assert parser.epilog.strip().splitlines()[-1].strip() in page
        flags = [flag for action in parser._actions for flag in action.option_strings]
        assert [flag for flag in flags if flag not in page and flag not in ("-h", "--help")] == []


def test_usage_begins_without_the_word_usage():
    assert "usage:" not in PAGES["commands/register.rst"]
    assert "\n   warpline register [-h]" in PAGES["commands/register.rst"]


def test_the_width_of_the_terminal_does_not_matter(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert dict(command_pages.pages()) == PAGES


def test_hidden_arguments_stay_hidden():
    parser = argparse.ArgumentParser(prog="p")
    parser.add_argument("--seen", help="shown")
    parser.add_argument("--unseen", help=argparse.SUPPRESS)
    text = "\n".join(command_pages._groups(parser))
    assert "--seen" in text and "--unseen" not in text
