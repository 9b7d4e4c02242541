"""Minimisation of smooth functions of few parameters: BFGS with a backtracking line search, from many starts at once.

A dozen parameters need no library: SciPy's L-BFGS-B spends more time waking the threads of its linear algebra than the
metrics take, and its results depend on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from warpline.backends.affine_search import BfgsOptions

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Function = Callable[[Sequence[int], Matrix], tuple[Vector, Matrix]]
"""Numbers of the searches that go on and their parameters (A, P), to values (A,) and gradients (A, P)."""
Listener = Callable[[int, float], None]
"""Receives the number of a search and the value after each of its steps."""

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
    listen: Listener = lambda *_: None,
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
        See `Listener`.
    """
    ends = np.array(starts, dtype=np.float64)
    if len(ends) == 0:
        return ends
    values, slopes = function(range(len(ends)), ends)
    given = zip(ends.copy(), values.tolist(), slopes, strict=True)
    searches = [_Search(*found, iterations=iterations, tolerance=tolerance) for found in given]
    going = [n for n, search in enumerate(searches) if search.left > 0]
    while going:
        there = np.array([searches[n].ahead() for n in going])
        values, slopes = function(going, there)
        for n, place, value, slope in zip(going, there, values.tolist(), slopes, strict=True):
            if searches[n].move(place, value, slope):
                listen(n, value)
        ends[going] = [searches[n].here for n in going]
        going = [n for n in going if searches[n].left > 0]
    return ends


def rules_of(iterations: int, tolerance: float, least_overlap: float) -> BfgsOptions:
    """The rules of `minimise`, for a backend that searches by itself."""
    return BfgsOptions(
        iterations, tolerance, least_overlap, FIRST_STEP, LONGEST_STEP, SUFFICIENT, backtracks=BACKTRACKS,
        patience=PATIENCE,
    )  # fmt: skip


class _Search:
    """One search: where it is, where it looks next, and what it has learnt.

    Its products of vectors and matrices are `dot`, which takes half the time of `@`; they are small.

    Parameters
    ----------
    here : (P,)
        Where it begins.
    value, slope : float, (P,)
        Of the function, there.
    iterations, tolerance
        See `minimise`.
    """

    def __init__(self, here: Vector, value: float, slope: Vector, *, iterations: int, tolerance: float) -> None:
        self.here, self._value, self._slope = here, value, slope
        self.left = iterations
        self._tolerance, self._idle = tolerance, 0
        self._identity = np.eye(len(here))
        self._inverse: Matrix | None = None
        self._direction, self._promised = here, 0.0
        self._length, self._tries = 1.0, 0
        self._aim()

    def ahead(self) -> Vector:
        """Where the function is asked next."""
        return self.here + (self._direction if self._length == 1.0 else self._length * self._direction)

    def move(self, there: Vector, reached: float, slope: Vector) -> bool:
        """Go there if the value decreases enough, which is told; else look nearer, or elsewhere."""
        if not reached <= self._value + SUFFICIENT * self._length * self._promised:
            self._shorten(reached)
            return False
        self._inverse = self._bent(there - self.here, slope - self._slope)
        self._idle = self._idle + 1 if self._value - reached <= self._tolerance * abs(reached) else 0
        self.here, self._value, self._slope = there, reached, slope
        self.left = 0 if self._idle == PATIENCE else self.left - 1
        self._aim()
        return True

    def _shorten(self, reached: float) -> None:
        self._tries += 1
        if self._tries == BACKTRACKS:
            self._give_up()
            self._aim()
            return
        # minimum of the parabola through the value and slope here and the value there
        length, promised = self._length, self._promised
        best = -promised * length**2 / (2 * (reached - self._value - promised * length))
        self._length = min(max(best, 0.1 * length), 0.5 * length)

    def _give_up(self) -> None:
        """Forget the inverse Hessian along which nothing was found; without one, end."""
        self.left = 0 if self._inverse is None else self.left - 1
        self._inverse = None

    def _aim(self) -> None:
        """Set a direction downhill: Newton's step with the inverse Hessian, or a first step; or end."""
        self._length, self._tries = 1.0, 0
        while self.left > 0:
            slope = self._slope
            if self._inverse is None:
                direction = -FIRST_STEP * slope / max(math.sqrt(slope.dot(slope)), 1e-300)
            else:
                direction = -self._inverse.dot(slope)
            longest = max(map(abs, direction.tolist()))
            if longest > LONGEST_STEP:  # no parameter changes by too much
                direction *= LONGEST_STEP / longest
            self._direction, self._promised = direction, float(slope.dot(direction))
            if self._promised < 0:
                return
            self._give_up()

    def _bent(self, moved: Vector, turned: Vector) -> Matrix | None:
        """BFGS update of the inverse Hessian from a step and the change of the gradient along it."""
        curvature, bend = float(moved.dot(turned)), float(turned.dot(turned))
        if curvature <= 1e-10 * math.sqrt(float(moved.dot(moved)) * bend):
            return self._inverse
        before = self._identity * (curvature / bend) if self._inverse is None else self._inverse
        column = moved[:, None]
        project = self._identity - column * turned / curvature
        updated: Matrix = project.dot(before).dot(project.T)
        updated += column * moved / curvature
        return updated
