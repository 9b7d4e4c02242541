"""Minimisation of smooth functions of few parameters: BFGS with a backtracking line search, from many starts at once.

A dozen parameters need no library: SciPy's L-BFGS-B spends more time waking the threads of its linear algebra than the
metrics take, and its results depend on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from warpline.backends.affine_problem import BfgsOptions

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Function = Callable[[Sequence[int], Matrix], tuple[Vector, Matrix]]
"""Numbers of the active searches and their parameters (A, P), to values (A,) and gradients (A, P)."""
StepCallback = Callable[[int, float], None]
"""Receives the number of a search and the value after each of its steps."""

FIRST_STEP = 1.0
"""Length of the first, steepest-descent step, in units of the parameters; much longer ones may leave the basin."""
LONGEST_STEP = 20.0
"""Largest change of any parameter in one step; longer ones carry the images apart, where the metric is flat."""
ARMIJO = 1e-4
"""Armijo condition: a step must bring at least this share of the decrease that the gradient predicts.

The usual value; near 1 every step is refused, at 0 steps count that gain nothing."""
BACKTRACKS = 8
"""Most shortenings of a step; after them the inverse Hessian is reset, or without one the search ends.

Fewer end a search in a curved valley, more only waste evaluations."""
PATIENCE = 2
"""Iterations in a row whose decrease is below the tolerance after which a search has converged.

With 1, a single short step ends it."""


def minimise(
    function: Function,
    starts: Matrix,
    *,
    iterations: int,
    tolerance: float,
    on_step: StepCallback = lambda *_: None,
) -> Matrix:
    """The parameters (S, P) reached from each of `starts` (S, P) by independent BFGS searches.

    Parameters
    ----------
    function : callable
        See `Function`; called once for the next points of all active searches. Its parameters are scaled so that a
        change of 1 in each matters about alike.
    starts : (S, P)
        Initial parameters of each search.
    iterations : int
        Most steps to take.
    tolerance : float
        Relative decrease per step below which a search ends.
    on_step : callable
        See `StepCallback`.
    """
    ends = np.array(starts, dtype=np.float64)
    if len(ends) == 0:
        return ends
    values, slopes = function(range(len(ends)), ends)
    initial = zip(ends.copy(), values.tolist(), slopes, strict=True)
    searches = [_Search(*start, iterations=iterations, tolerance=tolerance) for start in initial]
    active = [n for n, search in enumerate(searches) if search.left > 0]
    while active:
        trials = np.array([searches[n].trial() for n in active])
        values, slopes = function(active, trials)
        for n, trial, value, slope in zip(active, trials, values.tolist(), slopes, strict=True):
            if searches[n].update(trial, value, slope):
                on_step(n, value)
        ends[active] = [searches[n].position for n in active]
        active = [n for n in active if searches[n].left > 0]
    return ends


def bfgs_options(iterations: int, tolerance: float, least_overlap: float) -> BfgsOptions:
    """Options of `minimise`, for a backend that searches by itself."""
    return BfgsOptions(
        iterations, tolerance, least_overlap, FIRST_STEP, LONGEST_STEP, ARMIJO, backtracks=BACKTRACKS,
        patience=PATIENCE,
    )  # fmt: skip


class _Search:
    """State of one search: its position, its search direction and its inverse Hessian.

    1. `trial`: the point whose value and gradient are wanted next.
    2. `update`: accept it by the Armijo condition and update the inverse Hessian, or shorten the step.

    Products of vectors and matrices are `dot`, which for a dozen parameters takes half the time of `@`.

    Parameters
    ----------
    position : (P,)
        Initial parameters.
    value, gradient : float, (P,)
        Of the function, there.
    iterations, tolerance
        See `minimise`.
    """

    def __init__(self, position: Vector, value: float, gradient: Vector, *, iterations: int, tolerance: float) -> None:
        self.position, self._value, self._gradient = position, value, gradient
        self.left = iterations
        self._tolerance, self._idle_steps = tolerance, 0
        self._identity = np.eye(len(position))
        self._inverse_hessian: Matrix | None = None
        self._direction, self._predicted = position, 0.0
        self._step, self._backtracks = 1.0, 0
        self._choose_direction()

    def trial(self) -> Vector:
        """The point whose value and gradient are wanted next."""
        return self.position + (self._direction if self._step == 1.0 else self._step * self._direction)

    def update(self, trial: Vector, value: float, gradient: Vector) -> bool:
        """Take the value and gradient at the trial point; returns whether the step was accepted."""
        if not value <= self._value + ARMIJO * self._step * self._predicted:
            self._shorten_step(value)
            return False
        self._inverse_hessian = self._updated_inverse_hessian(trial - self.position, gradient - self._gradient)
        self._idle_steps = self._idle_steps + 1 if self._value - value <= self._tolerance * abs(value) else 0
        self.position, self._value, self._gradient = trial, value, gradient
        self.left = 0 if self._idle_steps == PATIENCE else self.left - 1
        self._choose_direction()
        return True

    def _shorten_step(self, value: float) -> None:
        """Backtrack to the minimum of the parabola through value and slope here and the value at the trial point."""
        self._backtracks += 1
        if self._backtracks == BACKTRACKS:
            self._reset_inverse_hessian()
            self._choose_direction()
            return
        step, predicted = self._step, self._predicted
        best = -predicted * step**2 / (2 * (value - self._value - predicted * step))
        self._step = min(max(best, 0.1 * step), 0.5 * step)

    def _reset_inverse_hessian(self) -> None:
        """Fall back to steepest descent; end the search where it was that already."""
        self.left = 0 if self._inverse_hessian is None else self.left - 1
        self._inverse_hessian = None

    def _choose_direction(self) -> None:
        """Set a descent direction: the quasi-Newton step, or steepest descent without an inverse Hessian; or end."""
        self._step, self._backtracks = 1.0, 0
        while self.left > 0:
            gradient = self._gradient
            if self._inverse_hessian is None:
                direction = -FIRST_STEP * gradient / max(math.sqrt(gradient.dot(gradient)), 1e-300)
            else:
                direction = -self._inverse_hessian.dot(gradient)
            longest = max(map(abs, direction.tolist()))
            if longest > LONGEST_STEP:  # no parameter changes by too much
                direction *= LONGEST_STEP / longest
            self._direction, self._predicted = direction, float(gradient.dot(direction))
            if self._predicted < 0:
                return
            self._reset_inverse_hessian()

    def _updated_inverse_hessian(self, s: Vector, y: Vector) -> Matrix | None:
        """BFGS update from a step s and the change y of the gradient along it (Nocedal and Wright 2006, eq. 6.17)."""
        curvature, squared = float(s.dot(y)), float(y.dot(y))
        if curvature <= 1e-10 * math.sqrt(float(s.dot(s)) * squared):
            return self._inverse_hessian
        before = self._identity * (curvature / squared) if self._inverse_hessian is None else self._inverse_hessian
        column = s[:, None]
        project = self._identity - column * y / curvature
        updated: Matrix = project.dot(before).dot(project.T)
        updated += column * s / curvature
        return updated
