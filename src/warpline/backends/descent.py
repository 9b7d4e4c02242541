"""Searches of linear registration as numbers alone, so that a backend can run them where their metric is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Matrix

Formula = Literal["mutual_information", "correlation", "local_correlation"]
"""How a value and its derivatives follow from sums over sample points; see `warpline.metrics`."""

TURN, SCALE, ENTRY = 0, 8, 16
"""Kinds of parameters of a linear part ``diag(exp s) R(v) + E``: TURN + axis of the rotation vector v; SCALE + bits of
the axes whose logarithm of a scale it is added to; ENTRY + place in the matrix E of nine entries."""

MOST_PARAMETERS = 12


@dataclass(frozen=True, eq=False)
class Compared:
    """What a linear metric compares, and how.

    Parameters
    ----------
    points, values, volume, mask
        See `Backend.affine_moments`; for mutual information in units of bins.
    formula : str
        See `Formula`.
    bins : int
        Of the joint histogram of mutual information.
    """

    points: Any
    values: Any
    volume: Any
    mask: Any
    formula: Formula
    bins: int = 0


@dataclass(frozen=True, eq=False)
class Family:
    """Maps ``left [L(p) | t(p)] right`` from fixed voxels to moving voxels, one family per search.

    Parameters
    ----------
    left : (S, 4, 4)
        Of each search.
    right : (4, 4)
        Of all of them.
    parts : tuple of int
        What each parameter of the linear part L is, see `TURN`; it is divided by `radius` first.
    translations : int
        Number of parameters that are the first entries of the shift t; they come last.
    radius : float
        Millimetres per unit of a linear parameter.
    """

    left: NDArray[np.float64]
    right: Matrix
    parts: tuple[int, ...]
    translations: int
    radius: float

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.parts) + self.translations


@dataclass(frozen=True)
class Rules:
    """How a search goes on; see `warpline.registration.bfgs` for the names in capitals there.

    Parameters
    ----------
    iterations : int
        Most steps of each search.
    tolerance : float
        Relative decrease per step below which a step counts as idle.
    least_overlap : float
        Share of the points inside the moving image below which the metric is flat, at 0.
    first_step, longest_step, sufficient : float
        FIRST_STEP, LONGEST_STEP, SUFFICIENT.
    backtracks, patience : int
        BACKTRACKS, PATIENCE.
    """

    iterations: int
    tolerance: float
    least_overlap: float
    first_step: float
    longest_step: float
    sufficient: float
    backtracks: int
    patience: int
