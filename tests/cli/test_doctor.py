from __future__ import annotations

import importlib.metadata
import json
import sys
from unittest.mock import Mock

import pytest

from warpline.cli.main import main
from warpline.errors import DeviceError


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_facts_and_trial(call, backend):
    facts = call("doctor", "--backend", backend, "--threads", "1")
    assert facts["backend"] == backend
    assert facts["trial_seconds"]["again"] > 0
    assert facts["memory_gib"]["total"] > facts["memory_gib"]["available"] > 0
    assert sys.version.split()[0] in facts["python"]
    assert all(path.endswith(("(writable)", "(not writable)")) for path in facts["folders"].values())


def test_table_names_every_fact(capsys):
    assert main(["doctor", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    for word in ("python", "numpy", "numba", "memory", "gpu", "cupy", "trial"):
        assert word in shown


def test_a_backend_that_fails_is_shown_and_sets_the_exit_code(monkeypatch, capsys):
    def fail(*arguments):
        raise DeviceError("no device; buy one")

    monkeypatch.setattr("warpline.backends.select", fail)
    assert main(["doctor"]) == 6
    captured = capsys.readouterr()
    assert "no device; buy one" in captured.out
    assert captured.err.splitlines() == ["warpline doctor: error: no device; buy one"]


@pytest.fixture
def facts(monkeypatch, capsys):
    """Collect the facts of this machine without a trial."""

    def collect():
        monkeypatch.setattr("warpline.backends.select", Mock(side_effect=DeviceError("no trial")))
        assert main(["doctor", "--json"]) == DeviceError.exit_code
        return json.loads(capsys.readouterr().out)

    return collect


def test_extras_that_are_missing_are_listed_with_the_command(monkeypatch, facts):
    known = {"SimpleITK": "2.5", "distributed": "2026.1"}

    def version(name):
        if name not in known:
            raise importlib.metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr("importlib.metadata.version", version)
    extras = facts()["extras"]
    assert extras["itk"] == "SimpleITK 2.5"
    assert extras["zarr"] == 'not installed, for images in OME-Zarr: pip install "warpline[zarr]"'
    assert extras["cluster"].startswith("not installed")  # half of it is no use


def test_two_copies_of_cupy_are_called_out(monkeypatch, facts):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "14.0")
    assert "these break each other; uninstall all but one" in facts()["cupy"]


@pytest.mark.parametrize(
    ("script", "shown"),
    [("echo 'Test GPU, 1.0, 1 MiB'", "Test GPU, 1.0, 1 MiB"), ("exit 9", "nvidia-smi failed: ")],
)
def test_gpus_are_listed_by_the_drivers_tool(monkeypatch, tmp_path, facts, script, shown):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (line,) = facts()["gpu"]
    assert line.startswith(shown)


def test_no_gpu(monkeypatch, tmp_path, facts):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts()["gpu"] == []
