from __future__ import annotations

import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import warpline.cli.main as command_line
from warpline.cli.main import COMMANDS, build_parser, main, place_numba_cache
from warpline.errors import DeviceError, InputError, OutputError, UsageError


@pytest.fixture
def command(monkeypatch):
    """Puts a command `broken` into the table; it does what its `run` is set to."""
    module = types.ModuleType("broken")
    module.SUMMARY = "break"
    module.EXAMPLE = "  warpline broken"
    module.add_arguments = lambda parser: None
    monkeypatch.setitem(sys.modules, "broken", module)
    monkeypatch.setitem(COMMANDS, "broken", "broken")
    return module


def raising(error):
    def run(options, terminal):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError, 2), (InputError, 5), (OutputError, 5), (DeviceError, 6), (KeyboardInterrupt, 130)]
)
@pytest.mark.parametrize("flags", [[], ["-v"], ["-q"]])
def test_errors_become_one_line_and_their_exit_code(command, capsys, error, code, flags):
    command.run = raising(error("what came; what to do"))
    assert main(["broken", *flags]) == code
    captured = capsys.readouterr()
    text = "interrupted" if error is KeyboardInterrupt else "what came; what to do"
    assert captured.err == f"warpline broken: error: {text}\n"
    assert captured.out == ""


def test_an_unexpected_error_hides_its_traceback(command, capsys):
    command.run = raising(ZeroDivisionError("oh"))
    assert main(["broken"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError: oh" in line
    assert "-v" in line


def test_verbose_shows_the_traceback(command, capsys):
    command.run = raising(ZeroDivisionError("oh"))
    assert main(["broken", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nonsense"], ["register"], ["register", "a", "b", "-o", "c", "--threads", "0"]])
def test_wrong_usage_is_2(arguments, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warpline")
    assert "error: " in line and line.endswith("--help")


def test_without_arguments_every_command_is_listed(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in listed] == []


@pytest.mark.parametrize("name", tuple(COMMANDS))
def test_help_has_an_example_that_is_accepted(name, capsys):
    assert main([name, "--help"]) == 0
    examples = capsys.readouterr().out.split("example:\n")[1].replace("\\\n", " ").splitlines()
    calls = [shlex.split(line.split(" > ")[0]) for line in examples if line.strip()]
    assert {program for program, *_ in calls} == {"warpline"}
    assert name in {build_parser(()).parse_args(arguments).command for _, *arguments in calls}


def test_only_the_command_that_is_called_is_loaded():
    code = "from warpline.cli.main import main; main(['recipes']); import sys; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    loaded = set(answer.split())
    assert "warpline.cli.recipes" in loaded
    assert {"warpline.cli.register", "numba", "matplotlib", "nibabel", "scipy"} & loaded == set()


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("warpline ")


def test_compiled_code_goes_beside_the_package_where_that_is_writable(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    place_numba_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_compiled_code_goes_to_the_users_cache_elsewhere(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(os, "access", lambda path, mode: path != Path(command_line.__file__).parents[1])
    place_numba_cache()
    assert "warpline" in os.environ["NUMBA_CACHE_DIR"]


def test_a_cache_that_was_chosen_stays(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/chosen")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    place_numba_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == "/chosen"
