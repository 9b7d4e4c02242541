"""Gzip streams: read as they come, written so that equal content gives equal bytes."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from warpline.errors import InputError

_codec: Any
_damage: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
try:
    from isal import igzip as _codec
    from isal import isal_zlib

    _damage = (*_damage, cast(Any, isal_zlib).error)
except ImportError:
    _codec = gzip

GZIP_MAGIC = b"\x1f\x8b"
MAX_RATIO = 1032
"""Bytes that one compressed byte can expand to at most (the limit of deflate)."""

_EITHER = 32 + zlib.MAX_WBITS
"""zlib's window bits with automatic detection of gzip and zlib headers."""

_PIECE = 2**20


def compress(content: bytes) -> bytes:
    """One gzip member at the fastest level, without time stamp or file name."""
    compressed: bytes = _codec.compress(content, compresslevel=1, mtime=0)
    return compressed


def gzip_writer(file: BinaryIO) -> BinaryIO:
    """A stream that compresses into an open file, as `compress` does."""
    return cast("BinaryIO", _codec.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0))


@contextmanager
def open_stream(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a plain or gzip-compressed file, distinguished by content.

    Yields
    ------
    (stream, limit)
        The decompressed content, and the most bytes it can hold.

    Raises
    ------
    InputError
        From the ``with`` block too, when the file is missing, unreadable, damaged or cut short.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            size = path.stat().st_size
            magic = file.read(2)
            file.seek(0)
            if magic != GZIP_MAGIC:
                yield file, size
                return
            with _codec.GzipFile(fileobj=file) as stream:
                yield stream, size * MAX_RATIO
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path") from None
    except _damage as error:
        raise InputError(f"{path} is a damaged or truncated gzip file ({error}); copy or convert it again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def check_regular(path: Path) -> None:
    """Refuse pipes, devices and sockets, which may never end.

    Raises
    ------
    OSError
        When `path` does not exist, or cannot be accessed.
    InputError
        When it is no regular file, and no folder, which cannot be opened anyway.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path} cannot be read: it is no regular file; save its content to one")


def peek(path: Path, size: int) -> bytes:
    """The first `size` decompressed bytes, or fewer when the file is shorter."""
    with open_stream(path) as (stream, _):
        return stream.read(size)


def check_stream(path: Path, start: int) -> None:
    """Check a zlib or gzip stream within a file, from byte `start` on, to its checksum.

    Raises
    ------
    InputError
        When it is damaged or cut short.
    """
    stream = zlib.decompressobj(_EITHER)
    with path.open("rb") as file:
        file.seek(start)
        try:
            while not stream.eof and (packed := file.read(_PIECE)):
                while packed:
                    stream.decompress(packed, _PIECE)
                    packed = stream.unconsumed_tail
        except zlib.error as error:
            raise InputError(f"{path} has damaged data ({error}); copy or convert it again") from None
    if not stream.eof:
        raise InputError(f"{path} has data that are cut short; copy or convert it again")
