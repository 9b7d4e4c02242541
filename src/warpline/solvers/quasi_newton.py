"""Minimisation of smooth functions of few parameters: BFGS with a backtracking line search, from many starts at once.

A dozen parameters need no library: SciPy's L-BFGS-B spends more time waking the threads of its linear algebra than the
metrics take, and its results depend on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Function = Callable[[Sequence[int], Matrix], tuple[Vector, Matrix]]
"""Numbers of the searches that go on and their parameters (A, P), to values (A,) and gradients (A, P)."""
Search = Generator[Vector, tuple[float, Vector], Vector]
"""Yields parameters (P,), is sent value and gradient (P,) there, and returns the best in the end."""

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
    starts: Matrix,
    *,
    iterations: int,
    tolerance: float,
    listen: Callable[[int, float], None] = lambda *_: None,
) -> Matrix:
    """The parameters (S, P) reached from each of `starts` (S, P), by searches that know nothing of each other.

    Parameters
    ----------
    function : callable
        See `Function`; called once for the next points of all searches that go on. Its parameters are scaled so that a
        change of 1 in each matters about alike.
    starts : (S, P)
        Where the searches begin.
    iterations : int
        Most steps to take.
    tolerance : float
        Relative decrease per step below which a search ends.
    listen : callable
        Receives the number of a search and the value after each of its steps.
    """
    searches = [
        _search(start, partial(listen, n), iterations=iterations, tolerance=tolerance) for n, start in enumerate(starts)
    ]
    asked = {n: next(search) for n, search in enumerate(searches)}
    ends = np.array(starts, dtype=np.float64)
    while asked:
        going = list(asked)
        values, slopes = function(going, np.array(list(asked.values())))
        for n, value, slope in zip(going, values.tolist(), slopes, strict=True):
            try:
                asked[n] = searches[n].send((value, slope))
            except StopIteration as end:
                ends[n] = end.value
                del asked[n]
    return ends


def _search(start: Vector, listen: Callable[[float], None], *, iterations: int, tolerance: float) -> Search:
    here, (value, slope) = start, (yield start)
    inverse: Matrix | None = None
    idle = 0
    for _ in range(iterations):
        found = yield from _step(here, value, slope, _direction(slope, inverse))
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
    step = -FIRST_STEP * slope / max(math.sqrt(slope @ slope), 1e-300) if inverse is None else -inverse @ slope
    longest = max(map(abs, step.tolist()))
    return step if longest <= LONGEST_STEP else np.asarray(step * (LONGEST_STEP / longest))


def _step(
    here: Vector, value: float, slope: Vector, direction: Vector
) -> Generator[Vector, tuple[float, Vector], tuple[Vector, float, Vector] | None]:
    """The first point along `direction` that decreases enough; None when there is none."""
    promised = float(slope @ direction)
    if not promised < 0:
        return None
    length = 1.0
    for _ in range(BACKTRACKS):
        there = here + length * direction
        reached, new_slope = yield there
        if reached <= value + SUFFICIENT * length * promised:
            return there, reached, new_slope
        # minimum of the parabola through the value and slope here and the value there
        best = -promised * length**2 / (2 * (reached - value - promised * length))
        length = min(max(best, 0.1 * length), 0.5 * length)
    return None


def _updated(inverse: Matrix | None, moved: Vector, turned: Vector) -> Matrix | None:
    """BFGS update of the inverse Hessian from a step and the change of the gradient along it."""
    curvature, bend = float(moved @ turned), float(turned @ turned)
    if curvature <= 1e-10 * math.sqrt(float(moved @ moved) * bend):
        return inverse
    identity = np.eye(len(moved))
    project = identity - moved[:, None] * turned / curvature
    before = identity * (curvature / bend) if inverse is None else inverse
    return np.asarray(project @ before @ project.T + moved[:, None] * moved / curvature)
