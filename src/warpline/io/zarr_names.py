"""Names of OME-Zarr images: a folder or a zip archive, and behind a colon the level and the channel that is meant."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from warpline.errors import UsageError

SUFFIXES = (".zarr", ".zarr.zip", ".ozx")
"""How names of stores end, in lower case; only folders are written."""

_NAME = re.compile(
    r"(?P<store>.*(?:\.zarr|\.zarr\.zip|\.ozx))[/\\]?(?::(?P<choice>[^/\\]*))?", re.IGNORECASE | re.DOTALL
)
_CHOICE = re.compile(r"(?P<level>\d{1,4})?(?:,?c=(?P<c>\d{1,9}))?(?:,?t=(?P<t>\d{1,9}))?")


@dataclass(frozen=True)
class ZarrName:
    """What a name says.

    Parameters
    ----------
    store : Path
        The folder or archive.
    level : int
        Level of the pyramid, 0 the finest.
    chosen : dict
        Name of an axis, ``"c"`` or ``"t"``, to the index along it.
    """

    store: Path
    level: int
    chosen: dict[str, int]


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of an OME-Zarr image."""
    return _NAME.fullmatch(os.fspath(path)) is not None


def store_of(path: str | os.PathLike[str]) -> str:
    """The file or folder behind a name: the same, without a choice where it is one of OME-Zarr."""
    name = _NAME.fullmatch(os.fspath(path))
    return os.fspath(path) if name is None else name["store"]


def parse(path: str | os.PathLike[str]) -> ZarrName:
    """The parts of a name, such as ``brain.ome.zarr``, ``brain.ome.zarr:2`` or ``brain.ome.zarr:0,c=1,t=3``.

    Raises
    ------
    UsageError
        When what follows the colon is no choice.
    """
    name = _NAME.fullmatch(os.fspath(path))
    choice = _CHOICE.fullmatch((name["choice"] or "") if name else "?")
    if name is None or choice is None:
        raise UsageError(
            f"{os.fspath(path)} is no name of an OME-Zarr image; write name.ome.zarr:LEVEL,c=CHANNEL,t=TIME"
        )
    chosen = {axis: int(choice[axis]) for axis in ("c", "t") if choice[axis] is not None}
    return ZarrName(Path(name["store"]), int(choice["level"] or 0), chosen)
