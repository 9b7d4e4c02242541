"""What the distributions must hold, and must not: ``python release/contents.py dist/*``."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = {
    "src/warpline": (".py", ".typed", ".css", ".js", ".j2", ".yaml"),
    "kernels": (".py", ".cu", ".cuh"),
}
"""Folders of what is installed, and the endings of their files."""

FOREIGN = ("tests/", "bench/", "docs/", "examples/", "release/", ".github/", ".ci/")
LARGEST = 2_000_000
"""Bytes of a distribution; sources compress to half of it."""


def sources(root: Path) -> set[str]:
    """Every file of a project that is to be installed, relative to its folder."""
    return {
        path.relative_to(root).as_posix()
        for folder, endings in CODE.items()
        for path in (root / folder).rglob("*")
        if path.suffix in endings and "__pycache__" not in path.parts
    }


def installed(name: str) -> str:
    """Where a wheel has a file of the project."""
    return f"warpline/{name}" if name.startswith("kernels/") else name.removeprefix("src/")


def names_in(path: Path) -> set[str]:
    """The files of a wheel, or of a source distribution without its outer folder."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return set(wheel.namelist())
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}


def faults(path: Path, root: Path = ROOT) -> list[str]:
    """What is wrong with a wheel or a source distribution, a line for each fault.

    Parameters
    ----------
    path : Path
        The distribution.
    root : Path
        The project that it was built from.
    """
    names, expected = names_in(path), sources(root)
    if path.suffix == ".whl":
        expected = {installed(name) for name in expected}
    else:
        expected = {*expected, "pyproject.toml", "README.md", "LICENSE", "PKG-INFO", "CHANGELOG.md", "CITATION.cff"}
    licensed = any(name.endswith("LICENSE") for name in names)
    ours = {name for name in names if name.startswith(("warpline/", "src/warpline/", "kernels/"))}
    return [
        *_lines("is missing", expected - names),
        *_lines("is no file of the project", ours - expected),
        *_lines("does not belong here", (name for name in names if name.startswith(FOREIGN))),
        *([] if licensed else ["there is no licence"]),
        *([] if path.stat().st_size < LARGEST else [f"it has {path.stat().st_size} bytes, more than {LARGEST}"]),
    ]


def _lines(what: str, names: Iterable[str]) -> list[str]:
    return [f"{name} {what}" for name in sorted(names)]


def main(paths: Sequence[str]) -> int:
    """Check distributions; returns 1 when one has a fault, or there is none."""
    found = {path: faults(Path(path)) for path in paths}
    for path, lines in found.items():
        print(f"{path}: {'; '.join(lines) or f'{len(names_in(Path(path)))} files, as they should be'}")
    return int(not found or any(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
