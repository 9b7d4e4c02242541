"""Gzip streams of every kind are read, damage is named, and equal content gives equal bytes."""

from __future__ import annotations

import gzip

import pytest

from warpline.errors import InputError
from warpline.io import compression
from warpline.io.limits import read_bounded

CONTENT = bytes(range(256)) * 500
MOST = 2**20


@pytest.fixture(params=["isal", "zlib"])
def codec(request, monkeypatch):
    if request.param == "zlib":
        monkeypatch.setattr(compression, "_codec", gzip)
    return request.param


def test_compressed_bytes_repeat_without_time_or_name(codec):
    packed = compression.compress(CONTENT)
    assert packed == compression.compress(CONTENT)
    assert packed[3] == 0  # no flags: no file name, no comment
    assert packed[4:8] == bytes(4)  # no time
    assert gzip.decompress(packed) == CONTENT


def two_members(raw):
    return gzip.compress(raw[:70]) + gzip.compress(raw[70:])


@pytest.mark.parametrize("packing", [bytes, gzip.compress, two_members])
def test_reads_plain_gzip_and_several_members_by_content(tmp_path, codec, packing):
    path = tmp_path / "file.any"
    path.write_bytes(packing(CONTENT))
    assert read_bounded(path, MOST) == CONTENT
    assert compression.peek(path, 300) == CONTENT[:300]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: raw[:15] + b"\xff" * 40 + raw[55:]])
def test_damaged_gzip_is_named(tmp_path, codec, damage):
    path = tmp_path / "broken.gz"
    path.write_bytes(damage(gzip.compress(CONTENT)))
    with pytest.raises(InputError, match=r"broken\.gz is a damaged or truncated gzip file"):
        read_bounded(path, MOST)


def test_wrong_checksum_is_named(tmp_path, codec):
    raw = bytearray(gzip.compress(CONTENT))
    raw[-8] ^= 1
    path = tmp_path / "broken.gz"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged or truncated"):
        read_bounded(path, MOST)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.nii does not exist"):
        read_bounded(tmp_path / "gone.nii", MOST)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_bounded(tmp_path, MOST)
