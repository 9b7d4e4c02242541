"""Bounds on the decoded size of files, checked before memory is allocated.

Two things bound what a file decodes to. Its bytes: stored numbers cannot become more than they are, deflated ones not
more than `compression.MAX_RATIO` times as many, text that was compressed not more than `TEXT_RATIO` times. And this
machine: what exceeds the memory that is free is refused with one line, before other programs suffer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from warpline.errors import InputError
from warpline.io.compression import open_stream

TEXT_RATIO = 100
"""The same for text: tables and XML of real coordinates compress to a third or a tenth, not to a hundredth."""

MEGABYTE = 2**20

SMALL = 16 * MEGABYTE
"""Bytes below which free memory is not checked."""


def check_size(path: Path, shape: Sequence[int], itemsize: int, held: int, *, decoded: int | None = None) -> None:
    """Refuse an array that the bytes of its file cannot hold, or for which too little memory is free.

    Parameters
    ----------
    path : Path
        What messages call the file.
    shape : sequence of int
        As the header gives it.
    itemsize : int
        Bytes of one stored number.
    held : int
        The most bytes of numbers that the file can hold, decompressed.
    decoded : int, optional
        Bytes of one number in memory, where they are more.

    Raises
    ------
    InputError
        Saying how much is needed and how much there is.
    """
    if not shape or min(shape) < 1:
        raise InputError(f"{path} has the shape {_plain(shape)} in its header; sizes of at least 1 are needed")
    count = math.prod(int(n) for n in shape)
    if count * itemsize > held:
        raise InputError(
            f"{path} is truncated: shape {_plain(shape)} needs {count * itemsize} bytes, "
            f"the file holds at most {held}; copy or convert it again"
        )
    check_memory(path, count * max(itemsize, decoded or 0))


def check_memory(path: Path, need: int) -> None:
    """Refuse content of `need` bytes when less memory is free.

    Raises
    ------
    InputError
        Saying how much is needed and how much is free.
    """
    if need <= SMALL:
        return
    free = free_memory()
    if need > free:
        raise InputError(
            f"{path} needs {need / 1e9:.2f} GB of memory and {free / 1e9:.2f} GB are free; "
            "crop it, or use a machine with more memory"
        )


def read_bounded(path: Path, most: int) -> bytes:
    """The whole content of a file of text, decompressed.

    Parameters
    ----------
    path : Path
        The file.
    most : int
        Bytes of the longest one that makes sense.

    Raises
    ------
    InputError
        When it is longer, or expands as no text does.
    """
    with open_stream(path) as (stream, limit):
        size = path.stat().st_size
        allowed = min(most, max(size * TEXT_RATIO, MEGABYTE)) if limit > size else most
        content = stream.read(min(allowed, limit) + 1)
    if len(content) > allowed:
        kind = f"is longer than {most} bytes" if allowed == most else f"expands to over {TEXT_RATIO} times its size"
        raise InputError(f"{path} {kind}, as no file of its kind does; write it again, or split it")
    return content


def free_memory() -> int:
    """Bytes that this process can still take: of the machine, its control group and its own limit, the least."""
    import psutil

    known = [int(psutil.virtual_memory().available), *_of_group()]
    limit = _address_space()
    if limit is not None:
        known.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(known))


def _address_space() -> int | None:
    """Bytes of addresses that this process may take (``ulimit -v``), None without a limit."""
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _of_group() -> list[int]:
    """What is left in the control group (version 2), which bounds containers and jobs of SLURM."""
    try:
        place = next(line for line in _lines(Path("/proc/self/cgroup")) if line.startswith("0::"))
        folders = [Path(f"/sys/fs/cgroup{place[3:]}"), Path("/sys/fs/cgroup")]
        folder = next(folder for folder in folders if (folder / "memory.max").exists())
        (most,), (used,) = _lines(folder / "memory.max"), _lines(folder / "memory.current")
        stat = dict(line.split() for line in _lines(folder / "memory.stat"))
        return [] if most == "max" else [int(most) - int(used) + int(stat.get("inactive_file", 0))]
    except (OSError, StopIteration, ValueError):
        return []


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").splitlines()


def _plain(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(n) for n in shape)
