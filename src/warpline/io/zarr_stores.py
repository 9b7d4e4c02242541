"""Stores of Zarr arrays, as folders or zip archives, read by the zarr library after what they claim has been checked.

Nothing is opened but files inside the store that its name gives. Arrays of objects, and codecs outside an allow-list,
are refused before the library sees them; sizes are checked before memory is taken, chunks before they are looked for.
"""

from __future__ import annotations

import json
import math
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io import limits

LONGEST_METADATA = 4 * limits.MEGABYTE
"""Bytes of the longest metadata that make sense."""
CHUNKS, PER_FILE = 10_000, 1000
"""Chunks that an array may have, and so many more for each that is there: to fill the others takes time too."""
MOST_FILES = 2_000_000
"""Files in one array."""
COPIES = 2
"""Copies of the values in memory while an array is read: as stored, and with axes in our order."""

KINDS = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
)
"""Data types that are read."""
COMPRESSORS_V2 = ("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd")
FILTERS_V2 = ("delta", "shuffle")
CODECS_V3 = ("blosc", "bytes", "crc32c", "gzip", "transpose", "zstd")
"""Codecs that are allowed: they turn bytes into numbers and run nothing. Zarr's pickle and object codecs are none."""


class Files(Protocol):
    """The files of a store."""

    @property
    def path(self) -> Path:
        """The store."""

    def content(self, name: str) -> bytes | None:
        """A short file; None where there is none."""

    def sizes(self, folder: str) -> Iterator[int]:
        """Bytes of every file below a folder."""

    def store(self) -> Any:
        """The store of the zarr library."""


@dataclass(frozen=True)
class Folder:
    """A store that is a folder."""

    path: Path

    def content(self, name: str) -> bytes | None:
        """A short file; None where there is none."""
        file = self.path / name
        if not file.exists():
            return None
        self._check(file)
        with file.open("rb") as stream:
            return stream.read(LONGEST_METADATA + 1)

    def sizes(self, folder: str) -> Iterator[int]:
        """Bytes of every file below a folder."""
        for place, folders, names in os.walk(self.path / folder):
            for name in (*folders, *names):
                status = os.lstat(os.path.join(place, name))
                if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                    raise InputError(
                        f"{self.path} holds a link or no regular file, {name:.80}; copy the files themselves"
                    )
                if stat.S_ISREG(status.st_mode):
                    yield status.st_size

    def store(self) -> Any:
        """The store of the zarr library."""
        from zarr.storage import LocalStore

        return LocalStore(self.path, read_only=True)

    def _check(self, file: Path) -> None:
        if not file.is_file() or not file.resolve().is_relative_to(self.path.resolve()):
            raise InputError(f"{self.path} holds a link or no regular file, {file.name:.80}; copy the files themselves")


@dataclass(frozen=True)
class Archive:
    """A store that is a zip archive."""

    path: Path

    def content(self, name: str) -> bytes | None:
        """A short file; None where there is none."""
        with zipfile.ZipFile(self.path) as archive:
            try:
                stream = archive.open(name)
            except KeyError:
                return None
            with stream:
                return stream.read(LONGEST_METADATA + 1)

    def sizes(self, folder: str) -> Iterator[int]:
        """Bytes of every file below a folder."""
        with zipfile.ZipFile(self.path) as archive:
            for entry in archive.infolist():
                if entry.filename.startswith(f"{folder}/") and not entry.is_dir():
                    limits.check_memory(self.path, entry.file_size)
                    yield entry.file_size

    def store(self) -> Any:
        """The store of the zarr library."""
        from zarr.storage import ZipStore

        return ZipStore(self.path, mode="r", read_only=True)


def open_files(path: Path) -> Files:
    """The files of a store.

    Raises
    ------
    InputError
        When there is neither a folder nor an archive of that name.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return Archive(path)
    raise InputError(f"{path} {'is no zip archive' if path.exists() else 'does not exist'}; check the path")


def group_attributes(files: Files) -> dict[str, Any]:
    """Attributes of the group at the root of a store, of Zarr 3 or 2.

    Raises
    ------
    InputError
        When there is no group, or its metadata are damaged.
    """
    group = _json(files, "zarr.json")
    if group is not None:
        if group.get("node_type") != "group" or not isinstance(group.get("attributes", {}), dict):
            raise _refusal(files, "zarr.json is not that of a group")
        return dict(group.get("attributes", {}))
    if files.content(".zgroup") is None:
        raise _refusal(files, "it has neither zarr.json nor .zgroup, as the group of an image does")
    return _json(files, ".zattrs") or {}


@dataclass(frozen=True)
class Layout:
    """What the metadata of an array say, checked.

    Parameters
    ----------
    shape, chunks : tuple of int
        Of the array and of one file.
    itemsize : int
        Bytes of a value.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    itemsize: int


def layout(files: Files, path: str) -> Layout:
    """The layout of an array; only its metadata are read.

    Raises
    ------
    InputError
        When there is no array, or its type, codecs, shape or chunks are none that are read.
    """
    third = _json(files, f"{path}/zarr.json")
    if third is not None:
        return _layout_v3(files, path, third)
    second = _json(files, f"{path}/.zarray")
    if second is None:
        raise _refusal(files, f"there is no array at {path:.80}")
    return _layout_v2(files, path, second)


def read_array(files: Files, path: str, selection: tuple[int | slice, ...]) -> NDArray[np.generic]:
    """The values of an array, of which only the files that the selection needs are read.

    Raises
    ------
    InputError
        When it is damaged, claims more than it should or needs more memory than is free.
    """
    import zarr

    found = layout(files, path)
    present = 0
    for present, size in enumerate(files.sizes(path), 1):
        limits.check_memory(files.path, size)
        if present > MOST_FILES:
            raise _refusal(files, f"the array {path:.80} consists of more than {MOST_FILES} files")
    count = math.prod(-(-n // chunk) for n, chunk in zip(found.shape, found.chunks, strict=True))
    if count > CHUNKS + PER_FILE * present:
        raise _refusal(files, f"the array {path:.80} promises {count} chunks and has {present} files")
    chosen = [n for n, one in zip(found.shape, selection, strict=True) if isinstance(one, slice)]
    limits.check_memory(files.path, COPIES * math.prod(chosen) * found.itemsize)
    limits.check_memory(files.path, math.prod(found.chunks) * found.itemsize)
    store = files.store()
    try:
        return np.asarray(zarr.open_array(store, path=path, mode="r")[selection])
    finally:
        store.close()


def _layout_v2(files: Files, path: str, given: Mapping[str, Any]) -> Layout:
    codecs = [*(given.get("filters") or []), given.get("compressor")]
    names = [one.get("id") if isinstance(one, dict) else one for one in codecs]
    refused = [name for name in names[:-1] if name not in FILTERS_V2]
    refused += [name for name in names[-1:] if name not in (None, *COMPRESSORS_V2)]
    if refused:
        raise _refusal(files, f"its codec {refused[0]!r:.40} is not read")
    try:
        kind = np.dtype(given["dtype"]) if isinstance(given["dtype"], str) else np.dtype(object)
    except (KeyError, TypeError, ValueError):
        kind = np.dtype(object)
    return _checked(files, path, kind.name, given.get("shape"), given.get("chunks"))


def _layout_v3(files: Files, path: str, given: Mapping[str, Any]) -> Layout:
    if given.get("node_type") != "array":
        raise _refusal(files, f"there is no array at {path:.80}")
    if given.get("storage_transformers"):
        raise _refusal(files, "its storage transformers are not read")
    chunks = _configuration(given.get("chunk_grid")).get("chunk_shape")
    codecs = list(_codecs(files, given.get("codecs")))
    for shard in (one for name, one in codecs if name == "sharding_indexed"):
        list(_codecs(files, shard.get("codecs"), nested=True))
        list(_codecs(files, shard.get("index_codecs"), nested=True))
        _sizes(files, shard.get("chunk_shape"))
    kind = given.get("data_type")
    return _checked(files, path, kind if isinstance(kind, str) else "", given.get("shape"), chunks)


def _codecs(files: Files, given: Any, *, nested: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and configuration of each codec."""
    if not isinstance(given, list):
        raise _refusal(files, "an array has no list of codecs")
    allowed = CODECS_V3 if nested else (*CODECS_V3, "sharding_indexed")
    for one in given:
        name = one.get("name") if isinstance(one, dict) else one
        if name not in allowed:
            raise _refusal(files, f"its codec {name!r:.40} is not read")
        yield str(name), _configuration(one)


def _configuration(given: Any) -> dict[str, Any]:
    found = given.get("configuration") if isinstance(given, dict) else None
    return found if isinstance(found, dict) else {}


def _checked(files: Files, path: str, kind: str, shape: Any, chunks: Any) -> Layout:
    if kind not in KINDS:
        raise _refusal(
            files, f"the array {path:.80} holds values of type {kind or 'object'!r:.40}; real numbers are needed"
        )
    sizes, pieces = _sizes(files, shape), _sizes(files, chunks)
    if len(sizes) != len(pieces):
        raise _refusal(files, f"the array {path:.80} has {len(sizes)} axes and chunks of {len(pieces)}")
    return Layout(sizes, pieces, np.dtype(kind).itemsize)


def _sizes(files: Files, given: Any) -> tuple[int, ...]:
    sound = isinstance(given, list) and 0 < len(given) <= 8 and all(type(n) is int and 0 < n < 2**48 for n in given)
    if not sound:
        raise _refusal(files, f"an array has the shape or the chunks {given!r:.80}; sizes of at least 1 are needed")
    return tuple(given)


def _json(files: Files, name: str) -> dict[str, Any] | None:
    content = files.content(name)
    if content is None:
        return None
    if len(content) > LONGEST_METADATA:
        raise _refusal(files, f"{name:.80} is longer than {LONGEST_METADATA} bytes, as no metadata are")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _refusal(files, f"{name:.80} is damaged")
    return found


def _refusal(files: Files, reason: str) -> InputError:
    return InputError(f"{files.path} is no readable OME-Zarr image: {reason}")
