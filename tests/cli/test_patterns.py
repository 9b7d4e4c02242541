"""Patterns of file names become the files that they stand for."""

from __future__ import annotations

from warpline.cli.patterns import expanded


def test_patterns_become_files_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sub-02_T1w.nii.gz", "sub-01_T1w.nii.gz", "note.txt"):
        (tmp_path / name).touch()
    (tmp_path / "[x]1.nii").touch()
    assert expanded(["[x]*.nii", "?ote.txt"]) == ["[x]*.nii", "note.txt"]
    arguments = ["template", "build", "sub-*_T1w.nii.gz", "out"]
    assert expanded(arguments) == ["template", "build", "sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz", "out"]


def test_what_names_a_file_or_stands_for_none_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a[1].nii").touch()
    for name in ("a1.nii", "1", "a", "linear.stages=rigid"):
        (tmp_path / name).touch()
    arguments = ["a[1].nii", "[affine.mat,1]", "[a*,1]", "b*.nii", "linear.stages=*", "--recipe*", ""]
    assert expanded(arguments) == arguments
