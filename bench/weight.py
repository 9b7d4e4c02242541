"""What ``pip install .`` downloads and takes: packages and megabytes (1e6 bytes), on this system and on others.

    python bench/weight.py            # wheels for Linux, macOS and Windows, downloaded and summed
    python bench/weight.py --here     # installed into a fresh environment of this machine, with and without bytecode

Files of wheels are those of an installation without the bytecode that pip compiles.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = {
    "Linux x86-64": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "Linux ARM": ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"),
    "macOS ARM": ("macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"),
    "Windows": ("win_amd64",),
}
"""Platforms whose wheels pip may take, by system."""


@dataclass(frozen=True)
class Weight:
    """An installation.

    Parameters
    ----------
    packages : int
        How many, warpline itself included, pip not.
    downloaded, files, compiled : int or None
        Bytes of the wheels, of the files in them, and of the bytecode that pip adds; None where not measured.
    largest : sequence of (name, bytes)
        The packages with most files.
    """

    packages: int
    downloaded: int | None
    files: int
    compiled: int | None
    largest: Sequence[tuple[str, int]]

    def row(self, system: str) -> str:
        """A row of the table."""
        sizes = (_megabytes(self.downloaded), _megabytes(self.files), _megabytes(self.compiled))
        most = ", ".join(f"{name} {_megabytes(size)}" for name, size in self.largest)
        return f"| {system} | {self.packages} | {' | '.join(sizes)} | {most} |"


def requirements() -> list[str]:
    """What the package needs, without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def weigh_wheels(platforms: Iterable[str], python: str, folder: Path) -> Weight:
    """Download the wheels for a system, of which none runs here, and add them up."""
    asked = [argument for name in platforms for argument in ("--platform", name)]
    _pip(
        sys.executable,
        "download",
        "--only-binary=:all:",
        "--python-version",
        python,
        *asked,
        "--dest",
        str(folder),
        *requirements(),
    )
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    files = {path.name.partition("-")[0]: _unpacked(path) for path in folder.glob("*.whl")}
    downloaded = sum(path.stat().st_size for path in folder.glob("*.whl"))
    return Weight(len(files), downloaded, sum(files.values()), None, _largest(files))


def weigh_here(folder: Path) -> Weight:
    """Install into a fresh environment."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    before = _names(folder)
    _pip(str(python), "install", str(ROOT))
    added = [path for path in _packages(folder) if path.name not in before]
    files = {path.name: _size(path, bytecode=False) for path in added}
    compiled = sum(_size(path, bytecode=True) for path in added)
    count = sum(path.name.endswith(".dist-info") for path in added)
    return Weight(count, None, sum(files.values()), compiled, _largest(files))


def _packages(folder: Path) -> list[Path]:
    return [path for site in folder.rglob("site-packages") for path in site.iterdir()]


def _names(folder: Path) -> set[str]:
    return {path.name for path in _packages(folder)}


def _size(path: Path, *, bytecode: bool) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file() and (one.suffix == ".pyc") == bytecode)


def _unpacked(path: Path) -> int:
    with zipfile.ZipFile(path) as wheel:
        return sum(member.file_size for member in wheel.infolist())


def _largest(files: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(files.items(), key=lambda item: -item[1])[:4]


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f}"


def _pip(python: str, *arguments: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", *arguments, *quiet], check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", action="store_true", help="install here instead of downloading for every system")
    parser.add_argument("--python", default="3.12", help="version whose wheels are downloaded")
    options = parser.parse_args(arguments)
    print(
        "| system | packages | downloaded, MB | files, MB | bytecode, MB | most of it, MB |\n|---|---|---|---|---|---|"
    )
    if options.here:
        with tempfile.TemporaryDirectory() as folder:
            print(weigh_here(Path(folder)).row(sys.platform))
        return
    for system, platforms in SYSTEMS.items():
        with tempfile.TemporaryDirectory() as folder:
            print(weigh_wheels(platforms, options.python, Path(folder)).row(system), flush=True)


if __name__ == "__main__":
    main()
