"""Decoded sizes are bounded by what the bytes of a file can hold and by the memory that is free."""

from __future__ import annotations

import gzip
import os
import resource
import sys
from types import SimpleNamespace

import psutil
import pytest

from warpline.errors import InputError
from warpline.io import limits
from warpline.io.points import read_point_table
from warpline.io.streamlines import read_streamlines


def test_arrays_that_a_file_cannot_hold_are_refused(tmp_path):
    path = tmp_path / "a.mgh"
    limits.check_size(path, (10, 10), 4, 400)
    with pytest.raises(InputError, match=r"a\.mgh is truncated: shape \(10, 10\) needs 400 bytes, .* at most 399"):
        limits.check_size(path, (10, 10), 4, 399)
    for shape in ((), (0, 5), (-1, 5)):
        with pytest.raises(InputError, match="sizes of at least 1"):
            limits.check_size(path, shape, 1, 100)


def test_what_exceeds_the_free_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "free_memory", lambda: 10**9)
    limits.check_memory(tmp_path, 10**9)
    with pytest.raises(InputError, match=r"needs 1\.10 GB of memory and 1\.00 GB are free"):
        limits.check_memory(tmp_path, 1_100_000_000)
    with pytest.raises(InputError, match=r"needs 1\.60 GB"):
        limits.check_size(tmp_path, (200_000_000,), 1, 10**9, decoded=8)


def test_the_memory_of_this_process_is_known():
    assert 2**20 < limits.free_memory() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_system_without_limits_of_addresses_has_its_memory(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**30, 2**30))
    assert limits.free_memory() < 2**30
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**31))
    monkeypatch.setattr(limits, "_of_group", list)
    monkeypatch.setitem(sys.modules, "resource", None)
    assert limits.free_memory() == 2**31


def test_text_that_expands_as_none_does_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(b"1,2,3\n" * 1_000_000))
    with pytest.raises(InputError, match=r"a\.csv expands to over 100 times its size"):
        limits.read_bounded(path, 2**26)
    path.write_bytes(gzip.compress(os.urandom(3000)))
    with pytest.raises(InputError, match="is longer than 2000 bytes"):
        limits.read_bounded(path, 2000)
    assert len(limits.read_bounded(path, 3000)) == 3000


def test_what_may_never_end_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(InputError, match="no regular file"):
            read_point_table(path)
    with pytest.raises(InputError, match="no regular file"):
        read_streamlines(tmp_path / "pipe")


def test_tables_of_too_many_cells_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("warpline.io.points._MOST_CELLS", 20)
    (tmp_path / "a.csv").write_text("1,2,3\n" * 8)
    with pytest.raises(InputError, match="more than 20 cells"):
        read_point_table(tmp_path / "a.csv")
