"""bench/gpu.sh as far as it goes without a GPU: syntax, dry run, choice of CUDA, steps that fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "gpu.sh"
STEPS = ["install", "tests", "memcheck", "racecheck", "initcheck", "kernels", "registration", "fireants", "compare"]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the script is for Linux, and bash is not here")


def gpu_sh(*arguments, tools=None, **variables):
    """Run the script; `tools` is a folder searched for programs before all others."""
    path = os.pathsep.join(filter(None, (tools and str(tools), os.environ["PATH"])))
    unset = ("STEPS", "PYTHON", "VENV", "WHEELS", "DATA", "FIREANTS_PYTHON", "LIMIT")
    environment = {k: v for k, v in os.environ.items() if k not in unset} | {"PATH": path} | variables
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def program(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return folder / name


def test_it_is_well_formed_and_can_be_run():
    assert subprocess.run(["bash", "-n", str(SCRIPT)], check=False).returncode == 0
    assert os.access(SCRIPT, os.X_OK)


def test_a_dry_run_names_every_step_and_every_file_is_there(tmp_path):
    result = gpu_sh(tmp_path / "out", "--dry-run", DATA=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert [line[:-1] for line in result.stdout.splitlines() if line.endswith(":")] == STEPS
    assert result.stdout.count("compute-sanitizer") == 3
    assert "bench/compare.py --gpu" in result.stdout
    assert not (tmp_path / "out").exists()


def test_quick_is_smaller(tmp_path):
    result = gpu_sh(tmp_path, "--dry-run", "--quick", STEPS="registration compare")
    assert "--sizes 2 1" in result.stdout
    assert result.stdout.count("--pairs") == 2


@pytest.mark.parametrize(("version", "extra"), [("12.4", "cuda12"), ("13.0", "cuda13")])
def test_the_driver_chooses_the_extra(tmp_path, version, extra):
    program(tmp_path / "tools", "nvidia-smi", f'echo "CUDA Version                 : {version}"')
    result = gpu_sh(tmp_path / "out", "--dry-run", tools=tmp_path / "tools", STEPS="install", WHEELS="/wheels")
    assert f"[{extra}" in result.stdout.replace("\\", "")
    assert "--no-index --find-links /wheels" in result.stdout


def test_a_step_that_fails_is_noted_and_the_next_one_runs(tmp_path):
    program(tmp_path / "tools", "nvidia-smi", "echo a GPU")
    program(tmp_path / "venv" / "bin", "python", 'echo "ran $1"; test "$1" != bench/kernels.py || exit 7')
    folders = {"VENV": str(tmp_path / "venv"), "DATA": str(tmp_path / "none")}
    steps = "kernels registration compare"
    result = gpu_sh(tmp_path / "out", tools=tmp_path / "tools", STEPS=steps, **folders)
    assert result.returncode == 1
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [(row["step"], row["exit"]) for row in rows] == [("kernels", 7), ("registration", 0), ("compare", 3)]
    assert (tmp_path / "out" / "registration.log").read_text() == "ran bench/registration.py\n"
    assert "name their folder with DATA=" in (tmp_path / "out" / "compare.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ((), {}, "name a folder"),
        (("out", "--fast"), {}, "unknown option --fast"),
        (("one", "two"), {}, "not two"),
        (("out",), {"STEPS": "kernels dance"}, "unknown step dance; choose from install"),
    ],
)
def test_wrong_use_is_explained(arguments, variables, message):
    result = gpu_sh(*arguments, **variables)
    assert result.returncode == 2
    assert message in result.stderr
