"""What was asked of a deformation and what it uses of that, for reports and the judgement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from warpline.recipe import Budget, Syn
from warpline.registration.budget.usage import Usage

LIMITS = {"max_bending": ("bending",), "jacobian": ("jacobian_min", "jacobian_max"), "max_strain": ("strain",)}
"""Limit of a budget to what is measured for it."""


@dataclass(frozen=True)
class Spending:
    """What was asked of a deformation, what it uses of it, and what it cost.

    Parameters
    ----------
    budget : Budget
        What was asked.
    forward, inverse : Usage
        Of the maps as they are.
    smoothing : float
        Sigma of the smoothing of the whole maps, in mm.
    rounds : int
        Rounds of local smoothing.
    scale : float
        Factor on the displacements, below 1 where smoothing was not enough.
    before : (Usage, Usage) or None
        Of the forward map and its inverse as they would be without a budget.
    rerun : Syn or None
        Options of the deformable stage that made the maps, where it was run again with more smoothing.
    """

    budget: Budget
    forward: Usage
    inverse: Usage
    smoothing: float = 0.0
    rounds: int = 0
    scale: float = 1.0
    before: tuple[Usage, Usage] | None = None
    rerun: Syn | None = None

    @property
    def used(self) -> float:
        """The largest share of any limit that either map uses; the budget is kept up to 1."""
        return max(self.forward.share_of(self.budget), self.inverse.share_of(self.budget, inverse=True))

    @property
    def is_kept(self) -> bool:
        """Whether both maps are within every limit."""
        return self.used <= 1

    def as_report(self) -> dict[str, Any]:
        """Asked and reached per limit, as in ``report.json``; None for what is not limited."""
        rerun = self.rerun and {name: getattr(self.rerun, name) for name in ("total_sigma", "update_weights")}
        return {
            "kept": self.is_kept,
            "used": self.used,
            **{name: self._limit(name, *columns) for name, columns in LIMITS.items()},
            "smoothing_mm": self.smoothing,
            "local_rounds": self.rounds,
            "scale": self.scale,
            "rerun": rerun,
        }

    def _limit(self, name: str, *columns: str) -> dict[str, Any] | None:
        asked = getattr(self.budget, name)
        if asked is None:
            return None
        maps = {"forward": self.forward, "inverse": self.inverse}
        if self.before is not None:
            maps |= {"forward_before": self.before[0], "inverse_before": self.before[1]}
        found = {which: _values(usage, columns) for which, usage in maps.items()}
        times = [which.removeprefix("forward") for which in found if which.startswith("forward")]
        worst = {f"worst{when}": WORSE[name](found[f"forward{when}"], found[f"inverse{when}"]) for when in times}
        return {"asked": asked, **found, **worst}


def _worse_determinants(forward: list[float], inverse: list[float]) -> list[float]:
    """Least and largest determinant of both maps, those of the inverse as the forward map would have them."""
    least, largest = (max(value, 1e-9) for value in inverse)
    return [min(forward[0], 1 / largest), max(forward[1], 1 / least)]


WORSE: dict[str, Callable[[Any, Any], Any]] = {
    "max_bending": max, "jacobian": _worse_determinants, "max_strain": max
}  # fmt: skip
"""Limit of a budget to what the worse of the two maps has."""


def _values(usage: Usage, columns: tuple[str, ...]) -> Any:
    values = [getattr(usage, column) for column in columns]
    return values if len(values) > 1 else values[0]
