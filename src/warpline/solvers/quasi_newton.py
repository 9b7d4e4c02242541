"""Minimisation of smooth functions of few parameters: BFGS with a backtracking line search.

A dozen parameters need no library: SciPy's L-BFGS-B spends more time waking the threads of its linear algebra than the
metrics take, and its results depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Function = Callable[[Vector], tuple[float, Vector]]
"""Parameters (P,) to the value and its gradient (P,)."""

FIRST_STEP = 1.0
"""Length of the first step, in units of the parameters."""
LONGEST_STEP = 20.0
"""Largest change of any parameter in one step."""
SUFFICIENT = 1e-4
"""Share of the decrease promised by the gradient that a step must bring (Armijo)."""
BACKTRACKS = 8
"""Shortenings of a step before it is given up."""
PATIENCE = 2
"""Iterations in a row below the tolerance after which the search ends."""


def minimise(
    function: Function,
    start: Vector,
    *,
    iterations: int,
    tolerance: float,
    listen: Callable[[float], None] = lambda _: None,
) -> Vector:
    """The parameters (P,) reached from `start`.

    Parameters
    ----------
    function : callable
        See `Function`; its parameters are scaled so that a change of 1 in each matters about alike.
    start : (P,)
        Where the search begins.
    iterations : int
        Most steps to take.
    tolerance : float
        Relative decrease per step below which the search ends.
    listen : callable
        Receives the value after every step.
    """
    here, (value, slope) = start, function(start)
    inverse: Matrix | None = None
    idle = 0
    for _ in range(iterations):
        found = _step(function, here, value, slope, _direction(slope, inverse))
        if found is None and inverse is None:
            break
        if found is None:
            inverse = None
            continue
        there, next_value, next_slope = found
        inverse = _updated(inverse, there - here, next_slope - slope)
        idle = idle + 1 if value - next_value <= tolerance * abs(next_value) else 0
        here, value, slope = there, next_value, next_slope
        listen(value)
        if idle == PATIENCE:
            break
    return here


def _direction(slope: Vector, inverse: Matrix | None) -> Vector:
    """Newton's step with the inverse Hessian, or a first step downhill; no parameter changes by too much."""
    step = -FIRST_STEP * slope / max(float(np.sqrt(slope @ slope)), 1e-300) if inverse is None else -inverse @ slope
    return np.asarray(step * min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-300)))


def _step(
    function: Function, here: Vector, value: float, slope: Vector, direction: Vector
) -> tuple[Vector, float, Vector] | None:
    """The first point along `direction` that decreases enough; None when there is none."""
    promised = float(slope @ direction)
    if not promised < 0:
        return None
    length = 1.0
    for _ in range(BACKTRACKS):
        there = here + length * direction
        reached, new_slope = function(there)
        if reached <= value + SUFFICIENT * length * promised:
            return there, reached, new_slope
        # minimum of the parabola through the value and slope here and the value there
        best = -promised * length**2 / (2 * (reached - value - promised * length))
        length = min(max(best, 0.1 * length), 0.5 * length)
    return None


def _updated(inverse: Matrix | None, moved: Vector, turned: Vector) -> Matrix | None:
    """BFGS update of the inverse Hessian from a step and the change of the gradient along it."""
    curvature = float(moved @ turned)
    if curvature <= 1e-10 * float(np.sqrt((moved @ moved) * (turned @ turned))):
        return inverse
    if inverse is None:
        inverse = np.eye(len(moved)) * (curvature / float(turned @ turned))
    project = np.eye(len(moved)) - np.outer(moved, turned) / curvature
    return np.asarray(project @ inverse @ project.T + np.outer(moved, moved) / curvature)
