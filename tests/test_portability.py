"""Nothing in the sources needs a POSIX system, a line ending, an encoding or a way to start processes.

Tests run on one system: what others lack is looked for in the source, and taken away in the tests of the modules
concerned.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "src" / "warpline"
SOURCES = sorted(PACKAGE.rglob("*.py"))
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os": {
        *("fork", "forkpty", "wait", "waitpid", "setsid", "getpgid", "killpg", "nice", "getloadavg"),
        *("getuid", "geteuid", "getgid", "getegid", "getgroups", "chown", "lchown", "mkfifo", "statvfs"),
        *("sched_getaffinity", "sched_setaffinity", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK"),
    },
    "signal": {"SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGQUIT", "alarm", "pause"},
}
RENAMING = {"rename", "renames"}
"""Of `os` and `pathlib`: they fail on Windows where the new name exists; `replace` does not."""

OPENING = {"open", "fdopen", "TemporaryFile", "NamedTemporaryFile"}

FORKING = {"multiprocessing", "concurrent.futures.process"}
"""How they start processes depends on the system."""


def is_import_of(node, modules):
    if isinstance(node, ast.Import):
        return any(alias.name in modules for alias in node.names)
    return isinstance(node, ast.ImportFrom) and node.module in modules


def tried_imports(nodes):
    """Imports in a ``try`` that has an answer to their failure."""
    for node in nodes:
        if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(one.type or node) for one in node.handlers):
            yield from (inner for statement in node.body for inner in ast.walk(statement))


def asked_for(nodes):
    """Arguments of every ``hasattr(one, name)``."""
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr":
            yield node.args


def faults(source):
    """What of a source would fail, or differ, on another system."""
    nodes = list(ast.walk(ast.parse(source)))
    tried = set(map(id, tried_imports(nodes)))
    guarded = {f"{ast.unparse(one)}.{name.value}" for one, name in asked_for(nodes) if isinstance(name, ast.Constant)}
    for node in nodes:
        if is_import_of(node, POSIX_MODULES) and id(node) not in tried:
            yield f"{ast.unparse(node)} without an answer to ImportError"
        elif is_import_of(node, FORKING):
            yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in POSIX_NAMES.get(node.value.id, ()) and ast.unparse(node) not in guarded:
                yield f"{ast.unparse(node)} without hasattr"
        elif isinstance(node, ast.Call):
            yield from faults_of_call(node)


def faults_of_call(call):
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg for keyword in call.keywords}
    mode = next((one.value for one in call.args if isinstance(one, ast.Constant) and one.value in ("w", "w+", "a")), "")
    if name in RENAMING and isinstance(call.func, ast.Attribute):
        yield f"{ast.unparse(call)}: replace"
    elif name in ("read_text", "write_text") and isinstance(call.func, ast.Attribute) and "encoding" not in given:
        yield f"{ast.unparse(call)}: encoding="
    elif (
        (name == "write_text" or (mode and name in OPENING))
        and "newline" not in given
        and "devnull" not in ast.unparse(call)
    ):
        yield f"{ast.unparse(call)}: newline="


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "def lock():\n    from fcntl import flock",
        "try:\n    import resource\nexcept OSError:\n    pass",
        "import multiprocessing",
        "os.fork()",
        "signal.signal(signal.SIGUSR1, handler)",
        "os.rename(a, b)",
        "path.rename(b)",
        "path.read_text()",
        "path.write_text(text, encoding='utf-8')",
        "path.open('w', encoding='utf-8')",
    ],
)
def test_what_is_looked_for_is_found(source):
    assert len(list(faults(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import resource\nexcept ImportError:\n    pass",
        "if hasattr(os, 'getuid'):\n    os.getuid()",
        "os.replace(a, b)",
        "path.open('rb')",
        "path.write_text(text, encoding='utf-8', newline='\\n')",
    ],
)
def test_what_has_an_answer_passes(source):
    assert list(faults(source)) == []


def test_sources_need_no_posix_system():
    found = {str(path.relative_to(PACKAGE)): list(faults(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_reads_text_names_its_encoding():
    """In what other systems run beside the package: tests of the wheel, and what builds site and distributions."""
    listed = [PROJECT / line for line in (PROJECT / "release" / "wheel_tests.txt").read_text(encoding="utf-8").split()]
    listed += [PROJECT / folder for folder in ("docs/generators", "docs/figures", "examples", "release", "kernels")]
    files = [path for one in listed for path in (one.rglob("*.py") if one.is_dir() else [one])]
    found = {str(path): list(faults(path.read_text(encoding="utf-8"))) for path in files}
    lacking = {path: [line for line in lines if line.endswith("encoding=")] for path, lines in found.items()}
    assert {path: lines for path, lines in lacking.items() if lines} == {}


def test_names_of_files_fit_every_system():
    """No two that differ in case only, none that Windows refuses or reserves."""
    reserved = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
    names = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    assert len({name.lower() for name in names}) == len(names)
    assert [name for name in names if set(name) & set('<>:"|?*\\') or Path(name).stem.lower() in reserved] == []
