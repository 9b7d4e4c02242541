"""What is remembered of each finished pair, small enough to keep fifty thousand of them."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from warpline.cohort.failures import Failure
from warpline.cohort.quality import COLUMNS

METRICS = (*COLUMNS, "seconds", "memory_mb")
"""Columns of numbers in the results."""

_PLACES = {name: place for place, name in enumerate(METRICS)}


class Metrics(Mapping[str, float | None]):
    """The numbers of one pair, by column; None where there is none.

    Parameters
    ----------
    values : mapping
        Column to number; columns that are not in `METRICS` are left out.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float | None]) -> None:
        known = (values.get(name) for name in METRICS)
        self._values = array("d", (math.nan if value is None else value for value in known))

    def __getitem__(self, name: str) -> float | None:
        """The number in a column."""
        value = self._values[_PLACES[name]]
        return None if math.isnan(value) else value

    def __iter__(self) -> Iterator[str]:
        return iter(METRICS)

    def __len__(self) -> int:
        return len(METRICS)


@dataclass(frozen=True, slots=True)
class Row:
    """A pair that was done, or has failed.

    Parameters
    ----------
    key : str
        What the result belongs to, see `Task`.
    recipe : str or None
        Name of the recipe.
    stat : (int, int) or None
        Size and time of the sidecar.
    metrics : Metrics or None
        Of a pair that was done.
    failure : Failure or None
        Of one that has failed.
    host : str or None
        Where it ran.
    sizes : dict
        Bytes of each of its outputs, by what it is; empty where they are not known.
    """

    key: str
    recipe: str | None
    stat: tuple[int, int] | None
    metrics: Metrics | None
    failure: Failure | None
    host: str | None
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Row:
        """From what a worker, a journal of results, a sidecar or a log says."""
        stat, metrics = record.get("stat"), record.get("metrics")
        failed = record.get("status") == "failed"
        return cls(
            key=str(record.get("key")),
            recipe=_shared(record.get("recipe")),
            stat=(stat[0], stat[1]) if stat else None,
            metrics=Metrics(metrics) if metrics else None,
            failure=Failure.from_record(record.get("failure") or record) if failed else None,
            host=_shared((record.get("host") or {}).get("name")),
            sizes={sys.intern(kind): int(size) for kind, size in (record.get("sizes") or {}).items()},
        )

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Row | None:
        """The same from a file that may be damaged: None where a value is of another kind than `of` needs."""
        try:
            return cls.of(record)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None


def _shared(text: str | None) -> str | None:
    """One string for all rows that say the same."""
    return None if text is None else sys.intern(text)
