"""Wheels added up."""

from __future__ import annotations

import zipfile

import pytest

import weight

WHEELS = {
    "download": ("--dest", "numpy-2.0-py3.whl", 3_000_000),
    "wheel": ("--wheel-dir", "warpline-1-py3.whl", 1_000_000),
}
"""What each command of pip leaves, and where."""


@pytest.fixture
def wheels(monkeypatch):
    """A pip that leaves a wheel of the package, and one of what it needs."""

    def pip(python, command, *arguments):
        option, name, size = WHEELS[command]
        with zipfile.ZipFile(f"{arguments[arguments.index(option) + 1]}/{name}", "w") as archive:
            archive.writestr("data", bytes(size))

    monkeypatch.setattr(weight, "_pip", pip)


def test_files_of_wheels_are_added_up(wheels, tmp_path):
    found = weight.weigh_wheels(("win_amd64",), "3.12", tmp_path)
    assert (found.packages, found.files) == (2, 4_000_000) and found.downloaded > found.files
    assert found.row("Windows") == "| Windows | 2 | 4 | 4 |  | numpy 3, warpline 1 |"


def test_bytecode_is_counted_apart(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "a.py").write_bytes(bytes(5))
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(bytes(7))
    assert weight._size(tmp_path, bytecode=False) == 5
    assert weight._size(tmp_path, bytecode=True) == 7
