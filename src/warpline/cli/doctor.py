"""``warpline doctor``: what this machine offers, and whether a registration runs on it."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from warpline.cli.options import add_device
from warpline.errors import WarplineError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from warpline.backends import Backend
    from warpline.cli.terminal import Terminal

SUMMARY = "say what this machine offers, and time one small registration"
EXAMPLE = """\
  warpline doctor
  warpline doctor --json > machine.json"""

PACKAGES = ("numpy", "scipy", "nibabel", "numba", "llvmlite", "isal", "pydantic")
TRIAL = (
    "initialise.rotations=false",
    "linear.voxel_sizes=[8.0]",
    "linear.iterations=[10]",
    "syn.factors=[2,1]",
    "syn.iterations=[10,5]",
)
"""Settings of the small registration."""

CUPY = ("cupy-cuda12x", "cupy-cuda13x", "cupy")
"""Packages that contain CuPy; two of them in one environment break each other."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_device(parser)


def run(options: Namespace, terminal: Terminal) -> None:
    """Collect the facts, try a registration, show both; then raise the error of the trial, if any."""
    import platform

    facts: dict[str, Any] = {
        "warpline": _version("warpline"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        **{name: _version(name) for name in PACKAGES},
        "memory_gib": _memory(),
        "gpu": _gpu(),
        "cupy": _cupy(),
        "extras": _extras(),
        "folders": _folders(),
    }
    problem = None
    try:
        facts.update(_trial(options))
    except WarplineError as error:
        problem = error
        facts["trial"] = str(error)
    terminal.result(facts, _table(facts))
    if problem is not None:
        raise problem


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory() -> dict[str, float]:
    import psutil

    memory = psutil.virtual_memory()
    return {"total": round(memory.total / 2**30, 1), "available": round(memory.available / 2**30, 1)}


def _gpu() -> list[str]:
    """Name, driver and memory of each NVIDIA GPU, as reported by ``nvidia-smi``."""
    import shutil
    import subprocess

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return [f"nvidia-smi failed: {error}"]
    return answer.stdout.strip().splitlines()


def _cupy() -> str | None:
    found = [f"{name} {_version(name)}" for name in CUPY if _version(name)]
    if len(found) > 1:
        return f"{' and '.join(found)}: these break each other; uninstall all but one"
    return found[0] if found else None


def _extras() -> dict[str, str]:
    """The packages of each extra, or how to install it."""
    from warpline.extras import EXTRAS, install_command

    found = {}
    for name, extra in EXTRAS.items():
        versions = {package: _version(package) for package in extra.packages}
        there = ", ".join(f"{package} {number}" for package, number in versions.items())
        found[name] = (
            there if all(versions.values()) else f"not installed, for {extra.purpose}: {install_command(name)}"
        )
    return found


def _folders() -> dict[str, str]:
    import tempfile
    from pathlib import Path

    from platformdirs import user_cache_path

    package = Path(__file__).resolve().parents[1]
    compiled = Path(os.environ.get("NUMBA_CACHE_DIR", package))
    temporary = Path(tempfile.gettempdir())
    places = {"compiled code": compiled, "user cache": user_cache_path("warpline"), "temporary": temporary}
    return {name: f"{path} ({_state(path)})" for name, path in places.items()}


def _state(path: Path) -> str:
    nearest = next(place for place in (path, *path.parents) if place.exists())
    return "writable" if os.access(nearest, os.W_OK) else "not writable"


def _trial(options: Namespace) -> dict[str, Any]:
    """Register a small phantom twice: the first run may compile, the second shows the speed."""
    from warpline.backends import select

    backend = select(options.backend, options.threads)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        _register_phantom(backend)
        seconds.append(round(time.perf_counter() - start, 3))
    return {
        "backend": backend.name,
        "device": backend.device,
        "trial_seconds": {"first": seconds[0], "again": seconds[1]},
    }


def _register_phantom(backend: Backend) -> None:
    from warpline.phantom import brain_pair
    from warpline.recipe import Recipe
    from warpline.registration.alignment import align

    pair = brain_pair((24, 28, 24), voxel_size=8.0)
    recipe = Recipe.load("syn").with_options(*TRIAL)
    align(pair.fixed, pair.moving, recipe, backend=backend)


def _table(facts: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _words(value))
    return table


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name.replace('_', ' ')}: {item}" for name, item in value.items())
    if isinstance(value, list):
        return "\n".join(value) or "none found"
    return "not installed" if value is None else str(value)
