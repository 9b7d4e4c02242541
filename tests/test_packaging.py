"""Wheels and source distributions hold what they must, and their version is that of the tag."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import contents

ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "src", "kernels")
DOCUMENTS = ("MANIFEST.in", "CHANGELOG.md", "CITATION.cff")
"""What a source distribution has besides."""

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
    for part in (*PARTS, *DOCUMENTS):
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


def sdist(project: Path, folder: Path) -> Path:
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], check=True, cwd=project, stdout=subprocess.DEVNULL)
    (found,) = folder.glob("warpline-*.tar.gz")
    return found


def test_wheel_holds_every_file_and_finds_kernels(project, tmp_path):
    pip("wheel", *BUILD, "--wheel-dir", tmp_path, project)
    (wheel,) = tmp_path.glob("warpline-*.whl")
    assert contents.faults(wheel, project) == []
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert found_kernel(tmp_path / "site") == tmp_path / "site" / "warpline" / "kernels" / "probe.cu"


def test_a_source_distribution_holds_what_is_installed(project, tmp_path):
    (project / "tests").mkdir()
    (project / "tests" / "data.nii").touch()
    assert contents.faults(sdist(project, tmp_path), project) == []


def test_what_a_distribution_lacks_or_has_too_much_is_named(tmp_path, capsys):
    (tmp_path / "src" / "warpline").mkdir(parents=True)
    (tmp_path / "src" / "warpline" / "page.css").touch()
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as wheel:
        wheel.writestr("tests/data.nii", "")
        wheel.writestr("warpline/kernels/old.cu", "")
    assert contents.faults(tmp_path / "w.whl", tmp_path) == [
        "warpline/page.css is missing",
        "warpline/kernels/old.cu is no file of the project",
        "tests/data.nii does not belong here",
        "there is no licence",
    ]
    assert contents.main([str(tmp_path / "w.whl")]) == 1 and contents.main([]) == 1
    assert "there is no licence" in capsys.readouterr().out


def test_editable_install_finds_kernels(project, tmp_path):
    pip("install", *BUILD, "--target", tmp_path, "--editable", project)
    assert found_kernel(tmp_path) == project / "kernels" / "probe.cu"


def test_importing_the_package_is_cheap():
    heavy = {"numpy", "numba", "cupy", "distributed", "matplotlib"}
    code = "import sys, warpline; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert heavy & set(loaded) == set()


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def version_of(folder: Path) -> str:
    command = [sys.executable, "-m", "setuptools_scm"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_versions_are_those_of_tags_with_an_answer_without(tmp_path):
    """An archive, a clone without tags (``--depth 1`` has none), a release, and what follows it."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert version_of(tmp_path) == "0.1.0.dev0"
    git(tmp_path, "init")
    git(tmp_path, "add", "pyproject.toml")
    git(tmp_path, "commit", "--message", "first")
    assert re.fullmatch(r"0\.1\.0\.dev1\+g[0-9a-f]+", version_of(tmp_path))
    git(tmp_path, "tag", "v0.2.0")
    assert version_of(tmp_path) == "0.2.0"
    git(tmp_path, "commit", "--allow-empty", "--message", "second")
    assert version_of(tmp_path).startswith("0.2.1.dev1+g")


CONDA = {"isal": "python-isal"}
"""Packages that conda-forge calls something else."""


def needed(requirements: list[str]) -> dict[str, str]:
    """Names to bounds, as conda writes them."""
    pairs = (re.fullmatch(r"([\w-]+)\s*(\S*)", text.partition(";")[0].strip()) for text in requirements)
    return {CONDA.get(pair[1], pair[1]): pair[2] for pair in pairs if pair is not None}


def test_the_conda_recipe_needs_what_the_wheel_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "release" / "recipe.yaml").read_text(encoding="utf-8")
    run = re.search(r"\n  run:\n((?:    - .*\n)+)", text)[1]
    listed = [line.removeprefix("    - ") for line in run.splitlines() if "python " not in line]
    assert needed(listed) == needed(project["dependencies"])
    assert f'summary: "{project["description"]}"' in text


def test_the_lock_file_has_a_hash_for_every_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "release" / "container.lock").read_text(encoding="utf-8")
    locked = re.findall(r"^([\w-]+)(?:\[\w+\])?==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(locked) == len(re.findall(r"^[\w-]+.*==", text, re.MULTILINE))
    assert {name.lower() for name in needed(project["dependencies"])} - {"python-isal"} <= set(locked)


def test_versions_of_the_documents_agree():
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)[1]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["setuptools_scm"]["fallback_version"] == f"{cited}.dev0"


def test_no_large_file_is_tracked_but_pictures_of_the_docs():
    """The history is cloned by everybody, for ever."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no clone of the repository")
    files = [ROOT / name for name in listed.stdout.split("\0") if name and not name.startswith("docs/images/")]
    assert [str(path.relative_to(ROOT)) for path in files if path.exists() and path.stat().st_size > 1_000_000] == []


def test_badges_say_what_the_project_file_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=")
    readme = (ROOT / "README.md").read_text()
    for name, said in {"license": f"License: {project['license']}", "python": f"Python: {oldest} or newer"}.items():
        picture = f"docs/images/badge-{name}.svg"
        assert f"![{said}]({picture})" in readme
        assert f"<title>{said}</title>".lower() in (ROOT / picture).read_text().lower()
