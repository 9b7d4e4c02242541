"""Checks of GIFTI files before nibabel reads them: a small file must neither fill memory nor refer to another file.

Entities of its XML, data in other files, arrays of many axes and data that decode to anything but the size their
attributes give are refused.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from warpline.errors import InputError
from warpline.io import limits

_MAX_AXES = 6
_MAX_NUMBERS = 2**40
_MAX_TABLE = 100_000
_BYTES = {
    "NIFTI_TYPE_UINT8": 1,
    "NIFTI_TYPE_INT8": 1,
    "NIFTI_TYPE_INT16": 2,
    "NIFTI_TYPE_UINT16": 2,
    "NIFTI_TYPE_INT32": 4,
    "NIFTI_TYPE_UINT32": 4,
    "NIFTI_TYPE_FLOAT32": 4,
    "NIFTI_TYPE_INT64": 8,
    "NIFTI_TYPE_UINT64": 8,
    "NIFTI_TYPE_FLOAT64": 8,
}
"""Type of numbers to bytes of each."""


def check_gifti(content: bytes, path: Path) -> None:
    """Refuse a file that claims more than it holds, or refers to something outside.

    Raises
    ------
    InputError
        Naming the fault; also when the file is no XML.
    """
    walk = _ElementChecks(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = walk.start, walk.end
    parser.CharacterDataHandler = walk.text
    parser.EntityDeclHandler = walk.entity
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # also unknown encodings
        reason = "it is empty" if not content else str(error)
        raise InputError(f"{path} is no readable surface ({reason}); GIFTI with one point set is needed") from None


class _ElementChecks:
    """Checks each array of a file, element by element, against its attributes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array: Mapping[str, str] = {}
        self._pieces: list[str] | None = None
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MAX_TABLE:
            self._refuse(f"it has more than {_MAX_TABLE} elements")
        if name == "DataArray":
            self._array = attributes
            self._declared_size()
        elif name == "Data":
            self._pieces = []

    def text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        if name == "Data" and self._pieces is not None:
            text, self._pieces = "".join(self._pieces), None
            self._check(text)

    def entity(self, *_: Any) -> None:
        self._refuse("it declares entities of XML")

    def _declared_size(self) -> tuple[int, int]:
        """Numbers of an array as its attributes give them, and bytes of each."""
        of = self._array.get
        axes, kind = _whole_number(of("Dimensionality", "0")), of("DataType", "")
        sizes = [_whole_number(of(f"Dim{axis}", "")) for axis in range(min(max(axes, 0), _MAX_AXES))]
        if not 0 < axes <= _MAX_AXES or min(sizes) < 0 or math.prod(sizes) > _MAX_NUMBERS or kind not in _BYTES:
            self._refuse(f"an array of {axes} axes, sizes {sizes} and type {kind!r}")
        if of("Encoding", "") == "ExternalFileBinary" or of("ExternalFileName"):
            self._refuse("an array keeps its data in another file")
        return math.prod(sizes), _BYTES[kind]

    def _check(self, text: str) -> None:
        """Refuse data of another size than declared; deflated data are inflated in pieces to count them."""
        count, size = self._declared_size()
        encoding = self._array.get("Encoding", "")
        if encoding == "ASCII":
            if count > len(text):
                self._refuse(f"{count} numbers are declared, {len(text)} characters are there")
            return
        try:
            stored = base64.b64decode(text)
            held = len(stored) if encoding == "Base64Binary" else _inflated_size(stored, count * size)
        except (binascii.Error, ValueError, zlib.error) as error:
            self._refuse(str(error))
        if held != count * size:
            self._refuse(f"{count * size} bytes are declared, {held} or more are there")
        limits.check_memory(self._path, held)

    def _refuse(self, reason: str) -> NoReturn:
        raise InputError(f"{self._path} is no readable surface ({reason}); write it again as GIFTI with one point set")


def _inflated_size(stored: bytes, most: int) -> int:
    """Bytes that a zlib stream inflates to, counted until they exceed `most`."""
    stream, count, rest = zlib.decompressobj(), 0, stored
    while rest and count <= most and not stream.eof:
        count += len(stream.decompress(rest, limits.MEGABYTE))
        rest = stream.unconsumed_tail
    return count


def _whole_number(text: str) -> int:
    """An integer of at most a few digits; -1 where the text is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
