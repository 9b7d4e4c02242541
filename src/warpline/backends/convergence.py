"""How the energies of a level steer it: when its steps shrink, when it has converged, and which state to go back to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUNT, CONVERGED, ENERGIES = 0, 1, 2
"""Places in a trace: the number of energies, whether the level has converged, and the first energy."""

WINDOW = 4
"""Energies that the slope is fitted to."""


@dataclass(frozen=True)
class Pace:
    """Rules by which energies steer a level.

    Parameters
    ----------
    spacing : int
        Iterations between two energies.
    tolerance : float or None
        Least fall per iteration, as a share of the energy, that counts as progress; None never converges. The fall is
        the slope of a straight line fitted to the last `WINDOW` energies.
    patience : int
        After so many energies without a new best one the steps shrink: they jump over the optimum.
    shorter : float
        By this factor.
    """

    spacing: int
    tolerance: float | None
    patience: int = 2
    shorter: float = 0.5


LOST = 0.1
"""Share of what a level gained that it may lose again before it goes back; an oscillation around the optimum loses
less."""


def new_trace(most: int) -> NDArray[np.float64]:
    """A trace (2 + most,) without energies, with room for so many."""
    return np.zeros(ENERGIES + most)


def energies_of(trace: NDArray[np.float64]) -> NDArray[np.float64]:
    """The energies that a trace holds."""
    return trace[ENERGIES : ENERGIES + int(trace[COUNT])]


def is_best(energy: float, trace: NDArray[np.float64]) -> bool:
    """Whether an energy is lower than all that a trace holds."""
    return bool(trace[COUNT] == 0 or energy < energies_of(trace).min())


def watch(energy: float, trace: NDArray[np.float64], step: NDArray[np.float32], pace: Pace) -> None:
    """See `Backend.watch`; all arrays on the host."""
    trace[ENERGIES + int(trace[COUNT])] = energy
    trace[COUNT] += 1
    energies = energies_of(trace)
    if len(energies) > pace.patience and energies[-pace.patience :].min() >= energies[: -pace.patience].min():
        step *= np.float32(pace.shorter)
    trace[CONVERGED] = has_converged(energies, pace)


def has_converged(energies: NDArray[np.float64], pace: Pace) -> bool:
    """Whether energies have stopped falling."""
    if pace.tolerance is None or len(energies) < WINDOW:
        return False
    first, second, third, last = (float(energy) for energy in energies[-WINDOW:])
    slope = (3 * (last - first) + (third - second)) / (10 * pace.spacing)
    return -slope < pace.tolerance * max(abs(last), 1e-12)


def went_astray(start: float, energies: Sequence[float]) -> bool:
    """Whether a level ended so much above its best energy that it should go back to the state which had that one.

    Parameters
    ----------
    start : float
        Energy at the level's start; infinite where it does not compare with the others.
    energies : sequence of float
        Those that came after it, at least one.
    """
    best = min(start, *energies)
    return energies[-1] - best > LOST * ((start if math.isfinite(start) else energies[0]) - best)
