"""The folder kernels/ installs as warpline.kernels, from a wheel and in place."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "src", "kernels")
BUILD = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
FIND = """
import importlib.resources, site, sys
site.addsitedir(sys.argv[1])
print(importlib.resources.files("warpline.kernels") / "probe.cu")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with one more kernel, so that building leaves nothing behind here."""
    folder = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    (folder / "kernels" / "probe.cu").write_text("// found\n")
    return folder


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], check=True)


def found_kernel(site_packages: Path) -> Path:
    """Where a bare interpreter that knows only `site_packages` finds the extra kernel."""
    command = [sys.executable, "-S", "-c", FIND, str(site_packages)]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def test_wheel_holds_every_file_and_finds_kernels(project, tmp_path):
    pip("wheel", *BUILD, "--wheel-dir", tmp_path, project)
    (wheel,) = tmp_path.glob("warpline-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    source = project / "src"
    expected = {str(path.relative_to(source)) for path in source.rglob("*") if path.suffix in (".py", ".typed", ".j2")}
    assert expected | {"warpline/kernels/__init__.py"} <= names
    assert found_kernel(tmp_path / "site") == tmp_path / "site" / "warpline" / "kernels" / "probe.cu"


def test_editable_install_finds_kernels(project, tmp_path):
    pip("install", *BUILD, "--target", tmp_path, "--editable", project)
    assert found_kernel(tmp_path) == project / "kernels" / "probe.cu"


def test_importing_the_package_is_cheap():
    heavy = {"numpy", "numba", "cupy", "distributed", "matplotlib"}
    code = "import sys, warpline; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert heavy & set(loaded) == set()
