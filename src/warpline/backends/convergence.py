"""How the energies of a level control it: when steps shrink, when it has converged, and which state is the best.

The energies of a level are recorded in a trace, a float64 array (2 + N,) on the backend: the number of energies, 1 once
the level has converged (else 0), and the energies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUNT, CONVERGED, ENERGIES = 0, 1, 2
"""Layout of a trace: the number of energies, whether the level has converged, and the first energy."""

WINDOW = 4
"""Energies that the line of the convergence check is fitted to; fewer follow noise, more end a level later."""


@dataclass(frozen=True)
class ConvergenceRule:
    """When a level has converged, and when its steps shrink.

    Parameters
    ----------
    spacing : int
        Iterations between two energies.
    tolerance : float or None
        Least fall per iteration, as a share of the energy, that counts as progress; None never converges. The fall is
        the slope of a straight line fitted to the last `WINDOW` energies.
    patience : int
        After so many energies without a new best one the steps shrink: they jump over the optimum.
    shrink : float
        Factor by which they do.
    """

    spacing: int
    tolerance: float | None
    patience: int = 2
    shrink: float = 0.5


LEAST_LOSS = 0.1
"""Share of what a level gained that it must have lost to be reset; an oscillation around the optimum loses less."""


def new_trace(most: int) -> NDArray[np.float64]:
    """A trace (2 + most,) without energies, with room for `most` of them."""
    return np.zeros(ENERGIES + most)


def energies_of(trace: NDArray[np.float64]) -> NDArray[np.float64]:
    """The energies that a trace holds."""
    return trace[ENERGIES : ENERGIES + int(trace[COUNT])]


def is_lowest(energy: float, trace: NDArray[np.float64]) -> bool:
    """Whether an energy is lower than all that a trace holds."""
    return bool(trace[COUNT] == 0 or energy < energies_of(trace).min())


def update(energy: float, trace: NDArray[np.float64], step: NDArray[np.float32], rule: ConvergenceRule) -> None:
    """Append an energy and check convergence: `Backend.update_convergence`, for arrays on the host.

    Examples
    --------
    >>> import numpy as np
    >>> trace, step = new_trace(4), np.ones(1, np.float32)
    >>> for energy in (-1.0, -1.5, -1.4, -1.45):
    ...     update(energy, trace, step, ConvergenceRule(spacing=5, tolerance=1e-6))
    >>> energies_of(trace).tolist(), bool(trace[CONVERGED]), step.tolist()
    ([-1.0, -1.5, -1.4, -1.45], False, [0.5])
    """
    trace[ENERGIES + int(trace[COUNT])] = energy
    trace[COUNT] += 1
    energies = energies_of(trace)
    if len(energies) > rule.patience and energies[-rule.patience :].min() >= energies[: -rule.patience].min():
        step *= np.float32(rule.shrink)
    trace[CONVERGED] = has_converged(energies, rule)


def has_converged(energies: NDArray[np.float64], rule: ConvergenceRule) -> bool:
    """Whether energies have stopped falling."""
    if rule.tolerance is None or len(energies) < WINDOW:
        return False
    first, second, third, last = (float(energy) for energy in energies[-WINDOW:])
    slope = (3 * (last - first) + (third - second)) / (10 * rule.spacing)
    return -slope < rule.tolerance * max(abs(last), 1e-12)


def has_diverged(start: float, energies: Sequence[float]) -> bool:
    """Whether a level ended so much above its best energy that it should be reset to the state which had that one.

    Parameters
    ----------
    start : float
        Energy at the level's start; infinite where it is not comparable with the others.
    energies : sequence of float
        Those that came after it, at least one.
    """
    best = min(start, *energies)
    return energies[-1] - best > LEAST_LOSS * ((start if math.isfinite(start) else energies[0]) - best)
