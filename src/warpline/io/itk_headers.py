"""Headers of NRRD and MetaImage, parsed and checked before ITK reads the file, since ITK trusts its headers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from warpline.errors import InputError
from warpline.io.compression import MAX_RATIO, check_stream, peek

HEAD_SIZE = 2**16
"""Bytes that are searched for a header."""

MAX_HEADER = 2**15
"""Bytes of the longest header that is read."""

_MAX_LINE, _MAX_FIELD = 2000, 500
"""Letters of the longest line of MetaImage, and of a field of NRRD."""

_NRRD = b"NRRD0"
_META = re.compile(rb"\s*(ObjectType|NDims|Comment)\s*=")
_FIELD = re.compile(r"(?P<key>[^:=#]{1,80}?)\s*(?::=?|=)\s*(?P<value>.*)")
_DATA_KEYS = ("datafile", "elementdatafile")
_INSIDE = ("", "local")
_WORDS = ("text", "txt", "ascii")
"""Encodings of NRRD that write numbers as text, separated by blanks."""

_NUMBERS = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_LOCAL = re.compile(rb"ElementDataFile\s*[=:]\s*LOCAL\s*?\n", re.IGNORECASE)
_DIMENSIONS = ("2", "3", "4")
_NRRD_DIMENSIONS = (*_DIMENSIONS, "5")
"""Of NRRD, in which the components of vectors are an axis."""


_LISTS = {
    "dimsize": 1,
    "elementspacing": 1,
    "elementsize": 1,
    "offset": 1,
    "origin": 1,
    "position": 1,
    "centerofrotation": 1,
    "transformmatrix": 2,
    "rotation": 2,
    "orientation": 2,
}
"""MetaImage's keys with as many numbers as axes, or with a square of them."""

_TYPES = {f"MET_{sign}{kind}" for sign in ("", "U") for kind in ("CHAR", "SHORT", "INT", "LONG", "LONG_LONG")}
_TYPES |= {"MET_FLOAT", "MET_DOUBLE"}
_MILLIMETRES = {"mm", "millimeter", "millimeters", "millimetre", "millimetres", "?", "???"}
"""Units of length that mean what ITK takes every number for, and NRRD's words for none."""

_INTENSITIES = {"elementtointensityfunctionslope": 1.0, "elementtointensityfunctionoffset": 0.0}
"""MetaImage's scale of values, to what leaves them as they are."""

_VECTORS = tuple(f"{size}{kind}" for size in ("", "2-", "3-") for kind in ("vector", "covariant-vector", "normal"))


def is_nrrd(head: bytes) -> bool:
    """Whether a file that begins like this is NRRD."""
    return head.startswith(_NRRD)


def is_metaimage(head: bytes) -> bool:
    """Whether a file that begins like this is MetaImage."""
    return _META.match(head) is not None and b"NDims" in head[:512]


def read(path: Path) -> dict[str, str]:
    """Parse a header: keys in lower case without blanks, to their values; data that follow are ignored.

    Raises
    ------
    InputError
        When the header is too long, has a key twice, or holds what would crash ITK.
    """
    head = peek(path, HEAD_SIZE)
    found: dict[str, str] = {}
    lines = _lines(head)
    if sum(map(len, lines)) > MAX_HEADER or "\r" in "".join(lines):
        raise InputError(
            f"{path} has a header of more than {MAX_HEADER} bytes, or odd ends of lines; write it again, without notes"
        )
    for line in lines:
        match = _FIELD.fullmatch(line)
        key = "".join(match["key"].split()).lower() if match else ""
        if match and (key in found or (key in _DATA_KEYS and set(_DATA_KEYS) & set(found))):
            raise InputError(f"{path} says twice what its {match['key']} is; write it again")
        if match:
            found[key] = match["value"].strip()
    if is_metaimage(head):
        _check_metaimage(found, lines, path)
    elif not any(found.get(key, "").upper().startswith("LIST") for key in _DATA_KEYS):  # several files are refused
        _check_nrrd(found, lines, path)
    return found


def _lines(head: bytes) -> list[str]:
    """The lines of a header: of MetaImage up to the one that locates the data, of NRRD up to an empty one."""
    text = head.decode("latin-1").replace("\r\n", "\n")
    if is_nrrd(head):
        return text.partition("\n\n")[0].split("\n")
    lines = text.split("\n")
    return lines[: next((n for n, line in enumerate(lines, 1) if line.startswith("ElementDataFile")), len(lines))]


def holds_vectors(header: Mapping[str, str]) -> bool:
    """Whether the header says that the components at each voxel are a vector."""
    kinds = header.get("kinds", "").lower().split()
    channels, numbers = header.get("elementnumberofchannels", "1"), header.get("elementtype", "")
    return bool(set(kinds) & set(_VECTORS)) or (channels in ("2", "3") and numbers in ("MET_FLOAT", "MET_DOUBLE"))


def values_held(data: Path, header: Mapping[str, str], itemsize: int) -> int:
    """The most values of `itemsize` bytes that a file of data, see `data_of`, can hold."""
    size, encoding = data.stat().st_size, header.get("encoding", "").lower()
    if encoding in _WORDS:
        return (size + 1) // 2
    return size * (MAX_RATIO if _is_packed(header) else 1) // itemsize


def check_data(path: Path, header: Mapping[str, str]) -> None:
    """Check size and checksum of compressed data: ITK allocates by the header's size and ignores the checksum.

    Raises
    ------
    InputError
        When they are damaged or cut short.
    """
    if not _is_packed(header) or header.get("encoding", "gz").lower() not in ("gz", "gzip"):
        return
    data = data_of(path, header)
    packed = header.get("compresseddatasize", "0")
    if int(packed) > data.stat().st_size:
        raise InputError(f"{path} has data that are cut short, {packed} bytes are promised; copy or convert it again")
    head = peek(path, HEAD_SIZE)
    start = int(header.get("headersize", 0)) if is_metaimage(head) else 0
    if data == path:
        ends = (_EMPTY_LINE if is_nrrd(head) else _LOCAL).search(head)
        start = ends.end() if ends else 0
    check_stream(data, max(start, 0))


def _is_packed(header: Mapping[str, str]) -> bool:
    compressed = header.get("compresseddata", "").lower()[:1] in ("t", "1")
    return header.get("encoding", "").lower() not in ("", "raw") or compressed


def data_of(path: Path, header: Mapping[str, str]) -> Path:
    """The file that holds the data: itself, or one beside it.

    Raises
    ------
    InputError
        When the data are elsewhere, or in several files.
    """
    named = next((header[key] for key in _DATA_KEYS if key in header), "")
    data = path if named.lower() in _INSIDE else path.parent / named
    if data is not path and (Path(named).name != named or not os.path.isfile(data) or os.path.islink(data)):
        raise InputError(
            f"{path} keeps its data in {named!r}; a file beside it, without a folder in its name, can be read: put "
            "both into one folder, or write the image as one file (.nrrd, .mha)"
        )
    return data


def doubt(header: Mapping[str, str]) -> str:
    """A warning about what a header leaves open, or states and ITK ignores; mostly empty."""
    found = []
    if not {"space", "spacedimension", "transformmatrix", "rotation", "orientation"} & set(header):
        found.append("does not say in which space it lies; its axes are taken along L, P, S, as ITK does")
    if header.get("space", "").lower().startswith(("scanner", "3d", "right-up")):
        found.append(f"lies in the space {header['space']}, which is taken for L, P, S, as ITK does")
    if any(key.startswith("dwmri_") for key in header):
        found.append("has gradients of diffusion in its header (DWMRI_…), which are not carried along")
    found += _units(header) + _intensities(header)
    frame = _NUMBERS.findall(header.get("measurementframe", ""))
    if frame and [float(word) for word in frame] != [float(n % 4 == 0) for n in range(9)]:
        found.append("has a measurement frame, which is not applied to its vectors")
    return "; it ".join(found)


def _check_nrrd(header: Mapping[str, str], lines: list[str], path: Path) -> None:
    """Refuse long fields, many axes and malformed lines of NRRD, over which ITK crashes."""
    axes = header.get("dimension", "")
    if axes not in _NRRD_DIMENSIONS or len(header.get("sizes", "").split()) != int(axes):
        raise InputError(f"{path} has a damaged header (dimension {axes[:20]!r}), or over 5 axes; write it again")
    for line in lines[1:]:
        free = not line or line.startswith("#") or (":=" in line and ":" not in line.partition(":=")[0])
        if "\0" in line or not (free or (": " in line and len(line) <= _MAX_FIELD)):
            raise InputError(f"{path} has a damaged header ({line[:60]!r}); write it again")


def _units(header: Mapping[str, str]) -> list[str]:
    """Units of length that are not mm, in the words of NRRD or MetaImage."""
    stated = header.get("spaceunits", header.get("distanceunits", ""))
    units = sorted({unit.lower() for unit in stated.replace('"', " ").split()} - _MILLIMETRES)
    return [f"states units of length ({', '.join(units)}), but its numbers are taken for mm, as ITK does"] * bool(units)


def _intensities(header: Mapping[str, str]) -> list[str]:
    """A scale of values, which ITK does not apply."""
    stated = {key: header[key] for key in _INTENSITIES if _NUMBERS.fullmatch(header.get(key, ""))}
    kept = all(float(text) == _INTENSITIES[key] for key, text in stated.items())
    return (
        [] if kept else ["states a scale of its values (ElementToIntensityFunction…), which is not applied, as in ITK"]
    )


def _check_metaimage(header: Mapping[str, str], lines: list[str], path: Path) -> None:
    """Refuse many axes, long lines and wrong counts of numbers in MetaImage, which ITK does not check."""
    axes = header.get("ndims", "")
    wrong = [line[:60] for line in lines if len(line) > _MAX_LINE]
    wrong += [] if axes in _DIMENSIONS else [f"NDims = {axes[:20]}"]
    count = int(axes) if axes in _DIMENSIONS else 0
    for key, power in _LISTS.items():
        if key in header and not _are_numbers(header[key], count**power):
            wrong.append(f"{key} = {header[key][:60]}")
    wrong += [] if header.get("elementtype", "") in _TYPES else [f"ElementType = {header.get('elementtype', '')[:20]}"]
    for key, default in (("elementnumberofchannels", "1"), ("headersize", "0"), ("compresseddatasize", "0")):
        wrong += [] if re.fullmatch(r"-1|\d{1,12}", header.get(key, default)) else [f"{key} = {header[key][:20]}"]
    if "dimsize" not in header or "elementdatafile" not in header:
        wrong.append("no DimSize or no ElementDataFile")
    if wrong:
        raise InputError(f"{path} has a damaged header ({wrong[0]}), or one of no 2, 3 or 4 axes; write it again")


def _are_numbers(text: str, count: int) -> bool:
    words = text.split()
    return len(words) == count and all(len(word) < 40 and _NUMBERS.fullmatch(word) for word in words)
