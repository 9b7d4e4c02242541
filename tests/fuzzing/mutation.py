"""Sound content to damaged content, the same for the same number."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import numpy as np

Random = np.random.Generator

NUMBERS = (0, 1, -1, 127, 128, 255, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
FLOATS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e38, 1e-38, 1e300)
WORDS = (
    b"", b"-1", b"nan", b"inf", b"1e309", b"2147483647", b"9" * 5000, b"[" * 5000, b"{" * 500, b"\0", b"\n" * 2000,
    b" " * 4000, b"\t", b",", b'"', b"'", b"=", b"\xff\xfe", "é".encode(), b"<!--", b"&amp;", b"../../etc/passwd",
    b"/dev/zero", b"true", b"null", b"1 4 4", b"#", b"=cmd|'/c calc'!A0",
)  # fmt: skip
"""What readers of text may stumble over."""


def mutated(content: bytes, random: Random) -> bytes:
    """One to four changes; of compressed content, mostly of what it decompresses to."""
    if content[:2] == b"\x1f\x8b" and random.random() < 0.8:
        return gzip.compress(_changed(gzip.decompress(content), random), 1, mtime=0)
    if random.random() < 0.01:
        return zlib.compress(content)
    return _changed(content, random)


def _changed(content: bytes, random: Random) -> bytes:
    for _ in range(random.integers(1, 5)):
        change = CHANGES[random.integers(len(CHANGES))]
        content = change(content, random)
    return content


def _place(content: bytes, random: Random) -> int:
    """A place in a content, every other time near its beginning, where headers are."""
    end = max(1, len(content))
    return int(random.integers(min(end, 700) if random.random() < 0.5 else end))


def _byte(content: bytes, random: Random) -> bytes:
    at = _place(content, random)
    return content[:at] + bytes([random.integers(256)]) + content[at + 1 :]


def _number(content: bytes, random: Random) -> bytes:
    at, kind = _place(content, random), ("i2", "i4", "i8")[random.integers(3)]
    order = "<>"[random.integers(2)]
    value = np.array(NUMBERS[random.integers(len(NUMBERS))], "i8").astype(order + kind).tobytes()
    return content[:at] + value + content[at + len(value) :]


def _float(content: bytes, random: Random) -> bytes:
    at, kind = _place(content, random), ("f4", "f8")[random.integers(2)]
    with np.errstate(all="ignore"):
        value = np.array(FLOATS[random.integers(len(FLOATS))]).astype("<>"[random.integers(2)] + kind).tobytes()
    return content[:at] + value + content[at + len(value) :]


def _cut(content: bytes, random: Random) -> bytes:
    return content[: _place(content, random)]


def _word(content: bytes, random: Random) -> bytes:
    at, word = _place(content, random), WORDS[random.integers(len(WORDS))]
    return content[:at] + word + content[at + int(random.integers(8)) :]


def _token(content: bytes, random: Random) -> bytes:
    """Another word in the place of one."""
    words = content.split(b" ")
    words[random.integers(len(words))] = WORDS[random.integers(len(WORDS))]
    return b" ".join(words)


def _twice(content: bytes, random: Random) -> bytes:
    first, last = sorted((_place(content, random), _place(content, random)))
    return content[:last] + content[first:last] + content[last:]


def _without(content: bytes, random: Random) -> bytes:
    at = _place(content, random)
    return content[:at] + content[at + int(random.integers(1, 64)) :]


def _lines(content: bytes, random: Random) -> bytes:
    """Two lines in each other's place."""
    lines = content.split(b"\n")
    a, b = random.integers(len(lines), size=2)
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _byte, _byte, _number, _number, _float, _cut, _word, _token, _twice, _without, _lines,
)  # fmt: skip
