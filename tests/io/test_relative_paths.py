"""Paths in files, the same on every system."""

from __future__ import annotations

import ntpath
import os
from pathlib import PureWindowsPath

from warpline.io import relative_paths
from warpline.io.relative_paths import relative_path


def windows(monkeypatch):
    monkeypatch.setattr(os, "path", ntpath)
    monkeypatch.setattr(relative_paths, "Path", PureWindowsPath)


def test_a_path_is_relative_to_the_folder(tmp_path):
    assert relative_path(tmp_path / "data" / "a.nii", tmp_path / "out") == "../data/a.nii"


def test_paths_of_windows_have_slashes(monkeypatch):
    with monkeypatch.context() as patch:
        windows(patch)
        found = relative_path(r"C:\study\data\a.nii", r"C:\study\out")
    assert found == "../data/a.nii"


def test_a_path_on_another_drive_is_given_whole(monkeypatch):
    with monkeypatch.context() as patch:
        windows(patch)
        found = relative_path(r"D:\data\a.nii", r"C:\study\out")
    assert found == "D:/data/a.nii"
