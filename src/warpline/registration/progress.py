"""Progress of the stages while they run, and the record of each level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.space.grid import Shape


@dataclass(frozen=True)
class Progress:
    """One iteration of one level of one stage; levels and iterations count from 0.

    `images` fetches the fixed and the moving volume of the level, warped to the middle space by the current half-maps;
    valid while the callback runs. None where a stage has no such images. `energy` is the value of the metric; in the
    preparation of an image, the change of its bias field, as `measure` says.

    Examples
    --------
    >>> from warpline.registration import Progress
    >>> step = Progress("syn", level=0, levels=3, iteration=4, iterations=100, energy=-0.52)
    >>> f"{step.stage}, level {step.level + 1} of {step.levels}: {step.energy}"
    'syn, level 1 of 3: -0.52'
    """

    stage: str
    level: int
    levels: int
    iteration: int
    iterations: int
    energy: float
    images: Callable[[], tuple[NDArray[np.float32], ...]] | None = None
    measure: str = "energy"


@dataclass(frozen=True)
class LevelRecord:
    """Record of one level of one stage.

    Parameters
    ----------
    stage : str
        Name of the stage, such as ``"affine"``.
    level : int
        Position in the schedule, 0 the coarsest.
    shape : (I, J, K)
        Fixed grid of the level.
    iterations : int
        Iterations that were run.
    energies : tuple of float
        Value at each evaluation, smaller is better: every iteration of linear stages, every fifth of SyN.
    seconds : float
        Wall-clock time of the level, its preparation excluded.
    kept : int, optional
        Iterations after which its result was reached: fewer than `iterations` where a level diverged and the
        half-maps of its lowest energy were restored. None for linear stages, whose energy never rises.
    apart : tuple of float
        Root mean square distance in mm that its last iteration started from: of the landmarks that pull, and of the
        matched points of each pair of surfaces.

    Examples
    --------
    >>> from warpline.registration import LevelRecord
    >>> record = LevelRecord("syn", 0, (40, 48, 40), 10, energies=(-0.42, -0.61), seconds=1.5, kept=10)
    >>> min(record.energies)
    -0.61
    """

    stage: str
    level: int
    shape: Shape
    iterations: int
    energies: tuple[float, ...]
    seconds: float
    kept: int | None = None
    apart: tuple[float, ...] = ()


ProgressCallback = Callable[[Progress], None]
"""Receives a `Progress` at each evaluation of the energy."""
