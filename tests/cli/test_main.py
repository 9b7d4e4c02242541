from __future__ import annotations

import re
import shlex
import subprocess
import sys
import types

import pytest

from warpline.cli.main import COMMANDS, build_parser, main
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


def test_values_that_begin_with_a_minus_are_explained(capsys):
    assert main(["register", "a.nii", "b.nii", "-o", "out/", "--jacobian", "-1,5"]) == 2
    assert "expected one argument; a value that begins with - is written --jacobian=-1" in capsys.readouterr().err


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
    assert name in {build_parser(arguments).parse_args(arguments).command for _, *arguments in calls}


def test_only_the_command_that_is_called_is_loaded():
    code = "from warpline.cli.main import main; main(['recipes']); import sys; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    loaded = set(answer.split())
    assert "warpline.cli.recipes" in loaded
    assert {"warpline.cli.register", "numba", "matplotlib", "nibabel", "scipy"} & loaded == set()


HELP = (["--help"], *([name, "--help"] for name in COMMANDS), ["cohort", "run", "--help"])
TOO_HEAVY_FOR_HELP = {
    *("numpy", "scipy", "numba", "nibabel", "matplotlib", "PIL", "h5py", "cupy", "distributed", "SimpleITK", "psutil"),
    *("pydantic", "rich", "rich_argparse", "jinja2", "platformdirs"),
    *("importlib.metadata", "subprocess"),
}


def modules_after(*calls):
    """What a process has imported that shows these help texts to a pipe."""
    code = f"from warpline.cli.main import main; [main(call) for call in {calls!r}]; import sys; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return set(answer.splitlines()[-1].split())


def test_help_imports_nothing_heavy():
    assert modules_after(*HELP) & TOO_HEAVY_FOR_HELP == set()


def test_the_overview_imports_of_each_command_its_summary_only():
    loaded = {name for name in modules_after(["--help"]) if name.startswith("warpline.")}
    assert loaded - {*COMMANDS.values()} == {
        *("warpline.cli", "warpline.errors"),
        *(
            f"warpline.cli.{name}"
            for name in (
                *("budget", "main", "memory", "options", "pairs", "preparation", "signals", "start", "streams"),
                "uncertainty",
            )
        ),
        "warpline.cli.summary",
    }


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_reads_alike_with_and_without_colours(arguments, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    main(arguments)
    plain = capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(arguments)
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured and "\x1b[" not in plain
    lines = (re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines(), plain.splitlines())
    assert [line.rstrip() for line in lines[0]] == [line.rstrip() for line in lines[1]]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("warpline ")
