"""Reports of registrations by one recipe, and in how many of them something holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warpline.errors import InputError

Report = Mapping[str, Any]
"""The report of a registration, or the sidecar of a pair of a cohort."""

NEEDED = ("recipe", "warpline", "backend", "inputs", "levels")
"""What every report has."""


@dataclass(frozen=True)
class Evidence:
    """Reports of registrations by one recipe.

    Parameters
    ----------
    reports : sequence of dict
        At least one; of a cohort, some of them.
    count : int
        How many registrations they stand for; 0 where that is not known.

    Raises
    ------
    InputError
        When a report lacks what reports have.
    """

    reports: Sequence[Report]
    count: int = 1

    def __post_init__(self) -> None:
        for report in self.reports:
            lacking = [name for name in NEEDED if not report.get(name)]
            if lacking:
                raise InputError(
                    f"the report has no {lacking[0]!r}: it is none of a registration, or of an older version; give "
                    "report.json, or the output folder of a cohort"
                )

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The options, by section."""
        found: Mapping[str, Any] = self.reports[0]["recipe"]
        return found

    def options(self, section: str) -> Mapping[str, Any]:
        """A section of the recipe; empty where it does not run."""
        return self.recipe.get(section) or {}

    def where(self, holds: Callable[[Report], Any]) -> str | None:
        """In which of the registrations something holds: empty for all of them, None for none."""
        true = sum(bool(holds(report)) for report in self.reports)
        if not true:
            return None
        looked = "" if len(self.reports) == self.count else " that were looked at"
        return "" if true == len(self.reports) else f" (in {true} of {len(self.reports)} pairs{looked})"

    def has_input(self, *names: str) -> str | None:
        """In which of them an input was given."""
        return self.where(lambda report: any(report["inputs"].get(name) for name in names))
