"""HDF5 files, read so that a hostile one can neither fill the memory nor reach another file.

Links, data kept outside the file and virtual data are refused, and so is a dataset under a second name; thus what is
read in all is bounded by what the bytes of the file can hold. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io import limits
from warpline.io.compression import MAX_RATIO, open_stream

MAGIC = b"\x89HDF\r\n\x1a\n"

_HEAP = b"GCOL\x01\0\0\0"
"""Magic bytes of a global heap collection, which is mostly aligned to 8 bytes."""

_ADDRESS, _OBJECT, _USE = struct.Struct("<Q"), struct.Struct("<HHIQ"), struct.Struct("<IQI")

_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, AttributeError, MemoryError)
_MAX_GROUPS = 1000
_MAX_HEAPS = 100
_MAX_TEXT = 2**16


class Reader:
    """An open HDF5 file.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    path : Path
        What error messages call it.
    """

    def __init__(self, file: Any, path: Path) -> None:
        self.path = path
        self.root = file
        self._used: set[int] = set()

    def child(self, group: Any, name: str) -> Any | None:
        """A group or dataset within `group`, None where there is none of that name."""
        import h5py

        link = group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise InputError(f"{self.path}: {name} is a link to another place, which is not followed; write it again")
        return group[name]

    def numbered(self, group: Any) -> list[Any]:
        """The members of a group whose names are 0, 1, 2 …, in the order of the numbers."""
        if len(group) > _MAX_GROUPS:
            raise InputError(f"{self.path} has {len(group)} transforms; at most {_MAX_GROUPS} can be read")
        names = sorted((name for name in group if name.isdecimal()), key=int)
        return [self.child(group, name) for name in names]

    def array(self, group: Any, *names: str) -> NDArray[Any]:
        """The numbers of the dataset within `group` that has one of `names`."""
        found = (self.child(group, name) for name in names)
        data = next((one for one in found if one is not None), None)
        if data is None:
            raise InputError(f"{self.path} has no {names[0]} in {group.name}; write the file again")
        self.check_numbers(data, names[0])
        return np.asarray(data[()])

    def check_numbers(self, data: Any, name: str, *, decoded: int = 0) -> None:
        """Refuse a dataset that is larger than its part of the file can hold or than memory, or was read before.

        Parameters
        ----------
        data : h5py.Dataset
            What lies at `name`; anything else is refused.
        name : str
            What messages call it.
        decoded : int
            Bytes of one number in memory, where they are more than in the file.
        """
        import h5py

        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "fiu" or data.is_virtual or data.external:
            raise InputError(f"{self.path}: {name} holds no plain numbers; write the file again")
        size, stored = int(data.size) * data.dtype.itemsize, data.id.get_storage_size()
        chunk = math.prod(data.chunks or ()) * data.dtype.itemsize  # decoded as a whole, also for a few of its numbers
        most = stored * (1 if data.chunks is None else MAX_RATIO)
        if max(size, chunk if data.chunks else 0) > most or stored > self.path.stat().st_size:
            raise InputError(f"{self.path}: {name} claims {size} bytes, more than the file holds; copy it again")
        limits.check_memory(self.path, int(data.size) * max(data.dtype.itemsize, decoded))
        address = h5py.h5o.get_info(data.id).addr
        if address in self._used:
            raise InputError(f"{self.path}: {name} is a second name of other numbers; write the file again")
        self._used.add(address)

    def check_attributes(self, data: Any, names: Sequence[str] | None) -> None:
        """Refuse attributes that are no few numbers or string; of all names when None."""
        for name in data.attrs if names is None else [name for name in names if name in data.attrs]:
            stored = data.attrs.get_id(name)
            plain = stored.dtype.kind in "iuf" or _is_string(stored.dtype)
            if not plain or stored.dtype.itemsize * math.prod(stored.shape or ()) > _MAX_TEXT:
                raise InputError(f"{self.path}: {name} of {data.name} holds no plain value; write the file again")

    def text(self, group: Any, name: str) -> str:
        """The text of a dataset that holds one string."""
        import h5py

        data = self.child(group, name)
        whole = isinstance(data, h5py.Dataset) and data.size == 1 and not (data.is_virtual or data.external)
        if data is None or not whole or not _is_string(data.dtype):
            raise InputError(f"{self.path} has no {name} in {group.name}; write the file again")
        if h5py.check_string_dtype(data.dtype).length is None and not _leads_to_string(self.path, data.id.get_offset()):
            raise InputError(f"{self.path} is a damaged or truncated HDF5 file ({name}); copy it again")
        return as_text(np.ravel(data[()])[0])

    def attribute(self, group: Any, name: str) -> Any:
        """An attribute of a group, None where there is none of that name or it is no number or string."""
        if name not in group.attrs:
            return None
        stored = group.attrs.get_id(name)
        plain = stored.dtype.kind in "iuf" or _is_string(stored.dtype)
        if stored.shape != () or not plain or stored.dtype.itemsize > _MAX_TEXT:
            return None
        value = group.attrs[name]
        return as_text(value) if isinstance(value, (bytes, str)) else value


def _is_string(dtype: np.dtype[Any]) -> bool:
    """Whether a type is a string of bounded length; the HDF5 library crashes on other variable-length types."""
    import h5py

    kind = h5py.check_string_dtype(dtype)
    return kind is not None and (kind.length or 0) <= _MAX_TEXT


def as_text(value: Any) -> str:
    """A string as h5py gives it, bytes or not."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open a file.

    Raises
    ------
    InputError
        From the ``with`` block too, when the file is no HDF5, damaged or hostile.
    """
    import h5py

    with open_stream(path) as (stream, _):
        if stream.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path} is no HDF5 file; copy it again, or name its format")
    _check_heaps(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield Reader(file, path)
    except InputError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is a damaged or truncated HDF5 file ({reason}); copy it again") from None


@dataclass(frozen=True)
class Signature:
    """Signature that distinguishes the formats in HDF5.

    Parameters
    ----------
    format : object
        The attribute ``Format`` of the file, None where there is none.
    itk_class : str, optional
        Class of the first transform in ITK's groups, empty where it has none; None for files without these groups.
    """

    format: Any = None
    itk_class: str | None = None

    @classmethod
    def of(cls, path: Path) -> Signature:
        """Read the signature of a file.

        Raises
        ------
        InputError
            When it is damaged or hostile.
        """
        with reading(path) as reader:
            form, top = reader.attribute(reader.root, "Format"), None
            if form is None and "TransformGroup" in reader.root:
                top = reader.child(reader.root, "TransformGroup")
            if top is None:
                return cls(form)
            first = reader.child(top, "0")
            return cls(form, "" if first is None else reader.text(first, "TransformType"))


def _check_heaps(path: Path) -> None:
    """Refuse a file with corrupt global heaps: the HDF5 library would hang, or allocate gigabytes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        aligned = (place for place in _places(content, _HEAP) if place % 8 == 0)
        for number, start in enumerate(aligned):
            lengths = _lengths(content, start) if number < _MAX_HEAPS else None
            uses = _places(content, _ADDRESS.pack(start)) if lengths else ()
            if lengths is None or not all(_is_sound(content, use, lengths) for use in uses):
                raise InputError(f"{path} is a damaged or truncated HDF5 file (its strings); copy it again")


def _leads_to_string(path: Path, place: int | None) -> bool:
    """Whether the bytes at an offset refer to a string of a valid heap collection, with its length.

    Where they do not, the HDF5 library allocates by the stated length before it fails.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if place is None or not 0 < place <= len(content) - _USE.size:
            return False
        length, start, number = _USE.unpack_from(content, place)
        found = _lengths(content, start) if content[start : start + len(_HEAP)] == _HEAP else None
        return found is not None and found.get(number) == length


def _places(content: mmap.mmap, pattern: bytes) -> Iterator[int]:
    place = content.find(pattern)
    while place >= 0:
        yield place
        place = content.find(pattern, place + 1)


def _lengths(content: mmap.mmap, start: int) -> dict[int, int] | None:
    """Number and length of each object of a collection; None when they and the free space do not fill it exactly."""
    end = start + (_ADDRESS.unpack_from(content, start + 8)[0] if start + 16 <= len(content) else 0)
    position = start + 16
    lengths: dict[int, int] = {}
    while position + _OBJECT.size <= end <= len(content):
        number, _, _, length = _OBJECT.unpack_from(content, position)
        if number == 0:
            return lengths if position + length == end else None
        lengths[number] = length
        position += _OBJECT.size + -(-length // 8) * 8
    return lengths if start + 16 <= position <= end <= len(content) else None


def _is_sound(content: mmap.mmap, place: int, lengths: dict[int, int]) -> bool:
    """Whether what uses a collection, by length, address and number, knows the length of that object."""
    if not 4 <= place <= len(content) - 12:
        return True
    length, _, number = _USE.unpack_from(content, place - 4)
    return bool(lengths.get(number, length) == length)


def encode_file(fill: Callable[[Any], None]) -> bytes:
    """The bytes of a file that `fill(root)` fills."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()
