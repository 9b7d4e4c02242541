"""Stores are read where they are sound, and refused before they do harm."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import zarr

from warpline.errors import InputError
from warpline.io.zarr_stores import Archive, Folder, group_attributes, layout, open_files, read_array

VALUES = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
ALL = (slice(None),) * 3


@pytest.fixture(params=[2, 3])
def store(request, tmp_path):
    """A store of either version of Zarr, with one array."""
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=request.param)
    group.create_array("0", data=VALUES, chunks=(2, 3, 4))
    group.attrs.update({"a": 1})
    return path


def metadata_of(store):
    return next(path for name in ("zarr.json", ".zarray") if (path := store / "0" / name).exists())


def change(store, **entries):
    path = metadata_of(store)
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_a_folder_is_read(store):
    files = open_files(store)
    assert isinstance(files, Folder) and group_attributes(files) == {"a": 1}
    assert layout(files, "0").shape == (4, 5, 6) and layout(files, "0").chunks == (2, 3, 4)
    np.testing.assert_array_equal(read_array(files, "0", ALL), VALUES)
    np.testing.assert_array_equal(read_array(files, "0", (1, *ALL[1:])), VALUES[1])


def test_an_archive_is_read(store, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w") as archive:
        for path in store.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(store))
    files = open_files(tmp_path / "a.zarr.zip")
    assert isinstance(files, Archive) and group_attributes(files) == {"a": 1}
    np.testing.assert_array_equal(read_array(files, "0", ALL), VALUES)
    with pytest.raises(InputError, match="no array at 1"):
        layout(files, "1")


def test_shards_are_read(tmp_path):
    array = zarr.create_array(
        tmp_path / "a.zarr", name="0", shape=(4, 6, 8), chunks=(2, 2, 2), shards=(4, 6, 8), dtype="u1"
    )
    array[:] = 3
    assert (read_array(open_files(tmp_path / "a.zarr"), "0", ALL) == 3).all()


def test_links_are_refused(store, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("{}")
    metadata = (".zarray", ".zattrs", "zarr.json")
    chunk = next(path for path in (store / "0").rglob("*") if path.is_file() and path.name not in metadata)
    chunk.unlink()
    chunk.symlink_to(secret)
    with pytest.raises(InputError, match="link"):
        read_array(open_files(store), "0", ALL)
    metadata_of(store).unlink()
    (store / "0" / "zarr.json").symlink_to(secret)
    with pytest.raises(InputError, match="link"):
        layout(open_files(store), "0")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"shape": [4, 5]}, "2 axes and chunks of 3"),
        ({"shape": [4, 5, -6]}, "sizes of at least 1"),
        ({"shape": [4, 5, 2**60]}, "sizes of at least 1"),
        ({"shape": "huge"}, "sizes of at least 1"),
        ({"shape": [10**6, 10**6, 10**6]}, "promises"),
        ({"dtype": "|O", "data_type": "string"}, "real numbers"),
        ({"dtype": [["a", "<i4"]], "data_type": {"name": "struct"}}, "real numbers"),
        ({"compressor": {"id": "pickle"}, "codecs": [{"name": "numcodecs.pickle"}]}, "codec '(numcodecs.)?pickle'"),
        ({"filters": [{"id": "json2"}], "codecs": "bytes"}, "codec"),
    ],
)
def test_what_is_hostile_is_refused(store, entries, words):
    change(store, **entries)
    with pytest.raises(InputError, match=words):
        read_array(open_files(store), "0", ALL)


def test_more_than_fits_into_memory_is_refused(store):
    edge = 2**16
    grid = {"name": "regular", "configuration": {"chunk_shape": [edge] * 3}}
    change(store, shape=[edge] * 3, chunks=[edge] * 3, chunk_grid=grid)
    with pytest.raises(InputError, match="of memory"):
        read_array(open_files(store), "0", ALL)


@pytest.mark.parametrize("content", [b"{", b"[]", b"[" * 100_000, b"\xff\xfe"])
def test_damaged_metadata_are_refused(store, content):
    metadata_of(store).write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        layout(open_files(store), "0")


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_files(tmp_path / "absent.zarr")
    (tmp_path / "text.zarr").write_text("text")
    with pytest.raises(InputError, match="no zip archive"):
        open_files(tmp_path / "text.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(InputError, match=r"neither zarr\.json nor"):
        group_attributes(open_files(tmp_path / "empty.zarr"))
