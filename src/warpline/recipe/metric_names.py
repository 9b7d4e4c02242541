"""Names of deformable metrics in recipes: those of the package, and those that a script adds to their table.

Recipes know names only, and nothing is imported for one: `warpline.metrics`, a room above, hands over the names of its
table, which grows when a script enters a metric of its own. No other choice is made so (docs/decisions/0019).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator

from warpline.spelling import did_you_mean

BUILT_IN = ("local_cc", "mean_squares", "mutual_information", "correlation", "self_similarity", "class_means")
"""Metrics of the package, the keys of `warpline.metrics.DEFORMABLE_METRICS` at first."""

_TABLES: list[Collection[str]] = [BUILT_IN]


def allow_names_of(table: Collection[str]) -> None:
    """Let recipes name whatever a table holds, also what it holds later.

    Parameters
    ----------
    table : collection of str
        Such as the keys of a dictionary.
    """
    _TABLES.append(table)


def known_names() -> list[str]:
    """All names that a recipe may hold now, each once."""
    return list(dict.fromkeys(name for table in _TABLES for name in table))


def check_name(name: str) -> str:
    """The name, if it is known.

    Raises
    ------
    ValueError
        With the names that are known.
    """
    known = known_names()
    if name not in known:
        raise ValueError(f"{did_you_mean(name, known)}choose from {', '.join(known)}")
    return name


DeformableMetricName = Annotated[str, AfterValidator(check_name)]
"""Metrics of deformable registration: the keys of `warpline.metrics.DEFORMABLE_METRICS`."""
