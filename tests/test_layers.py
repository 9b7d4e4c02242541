"""The shape of the code: layers, sizes and names."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "warpline"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "misc"}
MODULE_LINES, FUNCTION_LINES = 400, 40

Function = ast.FunctionDef | ast.AsyncFunctionDef

COMPILERS = {"numba": "numba_", "cupy": "cuda_", "cupyx": "cuda_"}
"""Library to how the names of the backend modules begin that may import it."""


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


every_module = pytest.mark.parametrize("path", MODULES, ids=relative)


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))


def code_lines(function: Function) -> int:
    """Lines of a function without decorators, signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_a_room_imports_only_from_rooms_below_it():
    """In a process of its own: import-linter switches off the loggers of the one it runs in."""
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_every_package_is_listed_for_installation():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {path.parent.relative_to(ROOT / "src") for path in PACKAGE.rglob("__init__.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"warpline.kernels"}
    assert set(settings["tool"]["setuptools"]["packages"]) == expected


@every_module
def test_modules_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= MODULE_LINES
    long = {function.name: code_lines(function) for function in functions(path)}
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES} == {}


@every_module
def test_numba_and_cupy_stay_in_their_own_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for library in {name.split(".")[0] for name in names} & set(COMPILERS):
            assert path.parent.name == "backends"
            assert path.name.startswith(COMPILERS[library])


@pytest.mark.parametrize("path", [path for path in MODULES if PACKAGE / "cli" not in path.parents], ids=relative)
def test_nothing_is_printed_outside_the_command_line(path):
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert "print" not in [call.id for call in calls if isinstance(call, ast.Name)]


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "kernels"])
def test_no_module_has_a_name_that_says_nothing(folder):
    names = {part for path in (ROOT / folder).rglob("*.py") for part in (path.stem, path.parent.name)}
    assert names & FORBIDDEN_NAMES == set()
