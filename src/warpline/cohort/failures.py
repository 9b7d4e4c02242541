"""Failures: the class of each, groups with the same cause, and the classes that stop a run."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from warpline.errors import DeviceError, DeviceLostError, DeviceMemoryError, InputError, OutputError, UsageError

Kind = Literal[
    "input_error",
    "out_of_memory",
    "numeric",
    "timeout",
    "worker_lost",
    "device_lost",
    "device_error",
    "output_error",
    "unexpected",
]

STOPPING = ("output_error", "device_error", "device_lost")
"""Kinds that no pair is to blame for: the run stops, and the pair is done again by the next one."""

_PARTS = re.compile(
    r"(?:\.{0,2}/)[^\s:;,()]+|\S+\.(?:nii|gz|mat|mgz|tsv|csv|json)\b|0x[0-9a-f]+|-?\d+(?:\.\d+)?(?:e-?\d+)?"
)
_SIGNATURE_LENGTH, _MESSAGE_LENGTH = 160, 1000
"""Characters of a signature at most, and of the message that it is made from."""


class TimeLimitError(Exception):
    """A pair took longer than it may."""


_KINDS: tuple[tuple[type[BaseException], Kind], ...] = (
    (TimeLimitError, "timeout"),
    (InputError, "input_error"),
    (UsageError, "input_error"),
    (OutputError, "output_error"),
    (DeviceMemoryError, "out_of_memory"),
    (DeviceLostError, "device_lost"),
    (DeviceError, "device_error"),
    (MemoryError, "out_of_memory"),
    (ArithmeticError, "numeric"),
)
_KINDS_BY_NAME: dict[str, Kind] = {
    "OutOfMemoryError": "out_of_memory",
    "CUDARuntimeError": "device_lost",
    "CUDADriverError": "device_lost",
    "LinAlgError": "numeric",
}
"""Of libraries that this room does not import."""


@dataclass(frozen=True)
class Failure:
    """Why a pair has no result.

    Parameters
    ----------
    kind : str
        One of `Kind`.
    signature : str
        The message without what differs between pairs: paths and numbers.
    message : str
        What happened and what to do.
    traceback : str
        Where, for errors that are not explained by an input.
    """

    kind: Kind
    signature: str
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an error; no reference to its frames remains."""
        kind = kind_of(error)
        message = " ".join(str(error).split()) or type(error).__name__
        if kind == "unexpected":
            message = f"{type(error).__name__}: {message}"
        trace = "" if kind == "input_error" else "".join(traceback.format_exception(error))
        return cls(kind, signature_of(message), message, trace)

    def as_record(self) -> dict[str, Any]:
        """Plain JSON values; the kind is called ``class`` in files."""
        values = asdict(self)
        return {"class": values.pop("kind"), **values}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Failure:
        """What `as_record` gave."""
        return cls(record["class"], record["signature"], record["message"], record.get("traceback") or "")


@dataclass(frozen=True)
class Group:
    """Failures of one class with the same signature.

    Parameters
    ----------
    kind, signature : str
        What they share.
    message : str
        The message of the first.
    ids : tuple of str
        Which pairs.

    Examples
    --------
    >>> from warpline.cohort import Group
    >>> len(Group("input_error", "… cannot be read", "a.nii cannot be read", ("sub-01", "sub-07")).ids)
    2
    """

    kind: str
    signature: str
    message: str
    ids: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.ids)

    @property
    def example(self) -> str:
        """The id of the first."""
        return self.ids[0]

    def as_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: getattr(self, name) for name in ("kind", "signature", "count", "example", "message")}


def kind_of(error: BaseException) -> Kind:
    """The class of an error, by its type or that of an ancestor."""
    for base, kind in _KINDS:
        if isinstance(error, base):
            return kind
    names = (ancestor.__name__ for ancestor in type(error).__mro__)
    return next((_KINDS_BY_NAME[name] for name in names if name in _KINDS_BY_NAME), "unexpected")


def signature_of(message: str) -> str:
    """A message without what differs between pairs: ``sub-03.nii.gz has 7 NaN`` becomes ``* has * NaN``."""
    return _PARTS.sub("*", message[:_MESSAGE_LENGTH])[:_SIGNATURE_LENGTH]


def group_failures(failures: Iterable[tuple[str, Failure]]) -> list[Group]:
    """Groups of failures of the same class and signature, given with their ids; the largest first."""
    members: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for id, failure in failures:
        members.setdefault((failure.kind, failure.signature), []).append((failure.message, id))
    groups = [
        Group(kind, signature, own[0][0], tuple(id for _, id in own)) for (kind, signature), own in members.items()
    ]
    return sorted(groups, key=lambda group: -group.count)
