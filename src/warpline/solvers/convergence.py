"""When a level has converged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WINDOW = 4
"""Readings of the energy that the slope is fitted to."""


def has_converged(energies: Sequence[float], tolerance: float | None, spacing: int) -> bool:
    """Whether the energy has stopped falling.

    Parameters
    ----------
    energies : sequence of float
        Readings so far, `spacing` iterations apart; smaller is better.
    tolerance : float or None
        Least fall per iteration, as a share of the energy, that counts as progress; None never converges.

    Notes
    -----
    The fall is the slope of a straight line fitted to the last `WINDOW` readings.
    """
    if tolerance is None or len(energies) < WINDOW:
        return False
    recent = np.array(energies[-WINDOW:])
    slope = np.polyfit(np.arange(WINDOW) * spacing, recent, 1)[0]
    return bool(-slope < tolerance * max(abs(recent[-1]), 1e-12))
