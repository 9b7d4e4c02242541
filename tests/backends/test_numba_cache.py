"""Where numba caches compiled code."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from warpline.backends import numba_cache


@pytest.fixture
def writable(monkeypatch, tmp_path):
    """Folders, each with what lies below it, in which files can be created; all others are read-only."""
    folders, create = [], tempfile.TemporaryFile

    def create_where_allowed(dir):
        if not any(Path(dir).is_relative_to(folder) for folder in folders):
            raise PermissionError(dir)
        return create(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", create_where_allowed)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    return folders


def test_compiled_code_goes_beside_a_writable_package(writable):
    writable.append(Path(numba_cache.__file__).resolve().parents[1])
    numba_cache.choose_cache_folder()
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_compiled_code_goes_to_the_users_cache_elsewhere(writable, tmp_path):
    writable.append(tmp_path / "cache")
    numba_cache.choose_cache_folder()
    assert "warpline" in os.environ["NUMBA_CACHE_DIR"]


def test_a_cache_that_was_chosen_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    numba_cache.choose_cache_folder()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path)


def test_without_a_writable_folder_a_temporary_one_is_named(writable, tmp_path, caplog):
    numba_cache.choose_cache_folder()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
    assert "can be written: compiled code is kept in" in caplog.text


@pytest.mark.parametrize("trap", ["open to others", "a link"])
def test_a_temporary_folder_of_strangers_is_not_used(writable, tmp_path, trap):
    guessed = tmp_path / f"warpline-numba-{os.getuid()}"
    if trap == "a link":
        (tmp_path / "theirs").mkdir()
        guessed.symlink_to(tmp_path / "theirs")
    else:
        guessed.mkdir()
        guessed.chmod(0o777)
    numba_cache.choose_cache_folder()
    assert Path(os.environ["NUMBA_CACHE_DIR"]) != guessed


def test_without_users_a_temporary_folder_is_made_anew(tmp_path, monkeypatch):
    """On Windows permission bits do not say whose a folder is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delattr(os, "getuid")
    first, second = numba_cache._temporary(), numba_cache._temporary()
    assert first != second and first.parent == second.parent == tmp_path


def test_shipped_compiled_code_is_copied_to_the_folder(tmp_path, monkeypatch):
    shipped, folder = tmp_path / "shipped", tmp_path / "folder"
    (shipped / "sub").mkdir(parents=True)
    (shipped / "sub" / "kernel.nbi").write_bytes(b"compiled")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    monkeypatch.setenv(numba_cache.SHIPPED, str(shipped))
    numba_cache.choose_cache_folder()
    assert (folder / "sub" / "kernel.nbi").read_bytes() == b"compiled"


def test_kernels_compiled_from_other_sources_are_removed(tmp_path):
    ours, others = tmp_path / "backends_1" / "numba_fields.invert-1.py311.nbi", tmp_path / "others_1" / "numba_x.nbi"
    for file in (ours, others):
        file.parent.mkdir()
        file.touch()
    numba_cache.discard_outdated(tmp_path, "backends_*/")
    assert not ours.exists() and others.exists()


def test_kernels_compiled_from_these_sources_stay(tmp_path):
    numba_cache.discard_outdated(tmp_path, "")
    kernel = tmp_path / "numba_fields.invert-1.py311.nbi"
    kernel.touch()
    numba_cache.discard_outdated(tmp_path, "")
    assert kernel.exists()


def test_a_folder_that_cannot_be_written_is_left(tmp_path):
    numba_cache.discard_outdated(tmp_path / "missing" / "folder", "")
    assert not (tmp_path / "missing").exists()
