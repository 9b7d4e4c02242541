"""Searches for affine maps as plain data, so that a backend can run them where the metric is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Matrix

Formula = Literal["mutual_information", "correlation", "normalised_product"]
"""How a value and its derivatives follow from sums over sample points; see `warpline.metrics`."""

ROTATION, SCALE, ENTRY = 0, 8, 16
"""Kinds of parameters of a linear part ``diag(exp s) R(v) + E``: ROTATION + axis of the rotation vector v; SCALE + bits
of the axes whose logarithm of a scale it is added to; ENTRY + index in the matrix E of nine entries."""

MAX_PARAMETERS = 12


@dataclass(frozen=True, eq=False)
class MetricInputs:
    """Arrays that a linear metric compares, and its formula.

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
class AffineFamily:
    """Maps ``left [L(p) | t(p)] right`` from fixed voxels to moving voxels with parameters p, one family per search.

    Parameters
    ----------
    left : (S, 4, 4)
        Of each search.
    right : (4, 4)
        Of all of them.
    kinds : tuple of int
        Kind of each parameter of the linear part L, see `ROTATION`; parameters are divided by `radius` first.
    translations : int
        Number of parameters that are the first entries of the shift t; they come last.
    radius : float
        Millimetres per unit of a linear parameter.
    """

    left: NDArray[np.float64]
    right: Matrix
    kinds: tuple[int, ...]
    translations: int
    radius: float

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.kinds) + self.translations


@dataclass(frozen=True)
class BfgsOptions:
    """Options of a BFGS search with backtracking line search.

    Parameters
    ----------
    iterations : int
        Most steps of each search.
    tolerance : float
        Relative decrease per step below which a step counts as idle.
    least_overlap : float
        Share of the points inside the moving image below which the metric is flat, at 0.
    first_step, longest_step : float
        Length of the first step, and largest change of any parameter in one step.
    armijo : float
        Share of the decrease promised by the gradient that a step must bring (Armijo condition).
    backtracks : int
        Shortenings of a step before its direction is given up.
    patience : int
        Idle steps in a row after which a search ends.
    """

    iterations: int
    tolerance: float
    least_overlap: float
    first_step: float
    longest_step: float
    armijo: float
    backtracks: int
    patience: int
