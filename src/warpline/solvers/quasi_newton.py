"""Minimisation of smooth functions of few parameters: BFGS with a backtracking line search, from many starts at once.

A dozen parameters need no library: SciPy's L-BFGS-B spends more time waking the threads of its linear algebra than the
metrics take, and its results depend on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    searches = _Searches(ends.copy(), *function(range(len(ends)), ends), iterations)
    while searches.rows:
        there = searches.ahead()
        for number, end in searches.move(there, *function(searches.numbers, there), tolerance, listen):
            ends[number] = end
    return ends


@dataclass(slots=True)
class _Search:
    """What one search knows besides its vectors.

    Parameters
    ----------
    number : int
        Its place among the starts.
    value : float
        Where it is.
    left : int
        Steps that it may still take.
    """

    number: int
    value: float
    left: int
    curved: bool = False
    """Whether its inverse Hessian is known."""
    promised: float = 0.0
    """Derivative along its direction."""
    length: float = 1.0
    """Share of the direction that is tried next."""
    tries: int = 0
    """Lengths that were too long."""
    idle: int = 0
    """Steps in a row that brought little."""

    def is_enough(self, reached: float) -> bool:
        """Whether a value decreases enough; else a shorter step is next."""
        if reached <= self.value + SUFFICIENT * self.length * self.promised:
            return True
        # minimum of the parabola through the value and slope here and the value there
        best = -self.promised * self.length**2 / (2 * (reached - self.value - self.promised * self.length))
        self.length = min(max(best, 0.1 * self.length), 0.5 * self.length)
        self.tries += 1
        return False

    def step(self, reached: float, tolerance: float) -> None:
        """Go to a value."""
        self.idle = self.idle + 1 if self.value - reached <= tolerance * abs(reached) else 0
        self.value, self.left = reached, 0 if self.idle == PATIENCE else self.left - 1

    def give_up(self) -> None:
        """Forget the inverse Hessian along which nothing was found; without one, end."""
        self.left, self.curved = self.left - 1 if self.curved else 0, False


class _Searches:
    """Searches side by side: scalars in objects, where Python is quick, vectors in the rows of arrays.

    Parameters
    ----------
    here : (S, P)
        Where they begin.
    values, slopes : (S,), (S, P)
        Of the function, there.
    iterations : int
        Most steps of each.
    """

    def __init__(self, here: Matrix, values: Vector, slopes: Matrix, iterations: int) -> None:
        self._here, self._slopes = here, slopes
        self._directions, self._identity = np.empty_like(here), np.eye(here.shape[1])
        self._inverse = np.empty((len(here), *self._identity.shape))
        self.rows = [_Search(n, value, iterations) for n, value in enumerate(values.tolist())]
        self._aim(range(len(here)))
        self._drop_ended()

    @property
    def numbers(self) -> list[int]:
        """Of the searches that go on."""
        return [search.number for search in self.rows]

    def ahead(self) -> Matrix:
        """Where the function is asked next: (A, P)."""
        return self._here + np.array([[search.length] for search in self.rows]) * self._directions

    def move(
        self, there: Matrix, values: Vector, slopes: Matrix, tolerance: float, listen: Listener
    ) -> list[tuple[int, Vector]]:
        """Go on from what the function says there; returns the numbers and places of searches that ended."""
        reached = values.tolist()
        enough = [n for n, search in enumerate(self.rows) if search.is_enough(reached[n])]
        self._bend(enough, there, slopes)
        for n in enough:
            self.rows[n].step(reached[n], tolerance)
            listen(self.rows[n].number, reached[n])
        stuck = [n for n, search in enumerate(self.rows) if search.tries == BACKTRACKS]
        for n in stuck:
            self.rows[n].give_up()
        self._aim(sorted(enough + stuck))
        return self._drop_ended()

    def _bend(self, which: list[int], there: Matrix, slopes: Matrix) -> None:
        """Move some searches, and learn the curvature from it: the BFGS update of the inverse Hessian."""
        at = slice(None) if len(which) == len(self.rows) else which
        moved, turned = there[at] - self._here[at], slopes[at] - self._slopes[at]
        self._here[at], self._slopes[at] = there[at], slopes[at]
        bends = [self._curvature(n, *vectors) for n, *vectors in zip(which, moved, turned, strict=True)]
        bent = [n for n, bend in zip(which, bends, strict=True) if bend > 0]
        if not bent:
            return
        if len(bent) < len(which):
            at, kept = bent, [n for n, bend in enumerate(bends) if bend > 0]
            moved, turned, bends = moved[kept], turned[kept], [bends[n] for n in kept]
        curvatures = np.array(bends)[:, None, None]
        columns = moved[:, :, None]
        project = self._identity - columns * turned[:, None] / curvatures
        updated = project @ self._inverse[at] @ project.transpose(0, 2, 1)
        self._inverse[at] = updated + columns * moved[:, None] / curvatures

    def _curvature(self, row: int, moved: Vector, turned: Vector) -> float:
        """Of the function along a step, 0 where it is too little; the first one scales the inverse Hessian."""
        curvature, bend = float(moved @ turned), float(turned @ turned)
        if not curvature > 1e-10 * math.sqrt(float(moved @ moved) * bend):
            return 0.0
        if not self.rows[row].curved:
            self._inverse[row] = self._identity * (curvature / bend)
            self.rows[row].curved = True
        return curvature

    def _aim(self, which: Iterable[int]) -> None:
        """New directions downhill for some searches that go on, or their end."""
        going = [n for n in which if self.rows[n].left > 0]
        newton = [n for n in going if self.rows[n].curved]
        if newton:
            at = slice(None) if len(newton) == len(self.rows) else newton
            self._directions[at] = (-self._inverse[at] @ self._slopes[at, :, None])[..., 0]
        for n in going:
            search = self.rows[n]
            search.length, search.tries = 1.0, 0
            while search.left > 0 and not self._is_downhill(n):
                search.give_up()

    def _is_downhill(self, row: int) -> bool:
        """Whether the function falls along the direction of a search, which is set, and shortened where it is long."""
        search, slope = self.rows[row], self._slopes[row]
        if not search.curved:
            self._directions[row] = -FIRST_STEP * slope / max(math.sqrt(slope @ slope), 1e-300)
        direction = self._directions[row]
        longest = max(map(abs, direction.tolist()))
        if longest > LONGEST_STEP:
            direction *= LONGEST_STEP / longest
        search.promised = float(slope @ direction)
        return search.promised < 0

    def _drop_ended(self) -> list[tuple[int, Vector]]:
        """Numbers and places of the searches that have ended, which are forgotten."""
        going = [n for n, search in enumerate(self.rows) if search.left > 0]
        if len(going) == len(self.rows):
            return []
        ended = [(s.number, self._here[n]) for n, s in enumerate(self.rows) if s.left <= 0]
        self.rows = [self.rows[n] for n in going]
        self._here, self._slopes, self._directions = self._here[going], self._slopes[going], self._directions[going]
        self._inverse = self._inverse[going]
        return ended
