"""The table of extras and the package's metadata agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from warpline.extras import EXTRAS, install_command

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVELOPMENT = {"test", "interoperability", "bench", "docs", "release"}
"""Extras of those who work on warpline itself."""


def names(requirements):
    return {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}


def test_the_table_lists_every_extra_of_a_user():
    assert EXTRAS.keys() == PROJECT["optional-dependencies"].keys() - DEVELOPMENT


def test_an_extra_installs_what_it_is_said_to_need():
    for name, extra in EXTRAS.items():
        assert set(extra.packages) <= names(PROJECT["optional-dependencies"][name])


def test_no_package_is_both_needed_and_optional():
    optional = {package for extra in EXTRAS.values() for package in extra.packages}
    assert optional.isdisjoint(names(PROJECT["dependencies"]))


def test_the_command_names_the_extra():
    assert install_command("itk") == 'pip install "warpline[itk]"'
