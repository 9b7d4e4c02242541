"""The GPU backend's searches: the metric and a step of every search as a captured graph, replayed without the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import cuda_points
from warpline.backends.arrays import Array
from warpline.backends.cuda_workspace import Workspace
from warpline.backends.descent import MOST_PARAMETERS, Compared, Family, Rules

AT_ONCE = 16
"""Evaluations of the metric between two looks of the host. Most levels of brains take 11 to 16; those beyond the end of
all searches are three launches that return at once, for about a third of what a look costs."""
THREADS = 160
"""Of a block of descend.cu: one for each entry of a matrix of 12 by 12, in whole warps."""
REMEMBERED = 295
"""Numbers that a search remembers; descend.cu."""
LEFT, TAKEN, HERE, ENERGIES = 0, 1, 2, 2 + MOST_PARAMETERS
"""Places of what a search tells the host: steps left and taken, parameters, energies."""
FORMULAS = {"mutual_information": 0, "correlation": 1, "local_correlation": 2}
"""Formula of a linear metric, see `warpline.backends.descent.Formula`, to its number in descend.cu."""

_FAMILY = np.dtype(
    [("right", np.float64, 12), ("radius", np.float64), ("parts", np.int32, MOST_PARAMETERS)], align=True
)

Listener = Callable[[int, float], None]
Told = NDArray[np.float64]


def descend(
    work: Workspace, compared: Compared, family: Family, rules: Rules, listen: Listener
) -> NDArray[np.float64] | None:
    """See `Backend.descend`; as many searches side by side as their histograms leave memory for."""
    if compared.formula not in FORMULAS:
        return None
    most = cuda_points.most_at_once(max(compared.bins, 1))
    found = np.zeros((len(family.left), family.size))
    for first in range(0, len(found) if rules.iterations > 0 else 0, most):
        part = replace(family, left=family.left[first : first + most])
        heard = np.zeros(len(part.left), int)
        with work.session():
            for told in _looks(work, Searches(work, compared, part, rules)):
                _tell(told, heard, first, listen)
        found[first : first + most] = told[:, HERE : HERE + family.size]
    return found


def _looks(work: Workspace, searches: Searches) -> Iterator[Told]:
    """What the searches tell, every so many evaluations until all of them have ended."""
    going = True
    while going:
        work.repeat(searches.step, AT_ONCE)
        told = searches.look()
        going = bool(told[:, LEFT].any())
        yield told


def _tell(told: Told, heard: NDArray[np.int64], first: int, listen: Listener) -> None:
    """Pass on the energies of steps that are new, of searches numbered from `first` on."""
    for number, row in enumerate(told):
        for energy in row[ENERGIES + heard[number] : ENERGIES + int(row[TAKEN])].tolist():
            listen(first + number, energy)
        heard[number] = row[TAKEN]


class Searches:
    """Searches side by side, on the device.

    Parameters
    ----------
    work : Workspace
        Where they are.
    compared, family, rules
        See `Backend.descend`.
    """

    def __init__(self, work: Workspace, compared: Compared, family: Family, rules: Rules) -> None:
        many = len(family.left)
        self._work, self._compared = work, compared
        self._samples = cuda_points.Samples(work, compared.points, compared.values, compared.volume, compared.mask)
        self._told, self._left, self._matrices = self._uploaded(family, rules)
        self._memory, self._ended = work.xp.zeros((many, REMEMBERED), np.float64), work.xp.zeros((many,), np.uint8)
        self._given = _given(compared, family, rules)

    def step(self) -> None:
        """The metric under the maps that are asked for, and a step of every search that goes on."""
        matrices, ended = self._matrices, self._ended
        if self._compared.formula == "mutual_information":
            found = self._samples.information_at(matrices, self._compared.bins, ended)
        else:
            found = self._samples.moments_at(matrices, ended)
        self._work.launch(
            "descend", (len(matrices), 1, 1), block=(THREADS, 1, 1), found=found, left=self._left, told=self._told,
            memory=self._memory, ended=ended, matrices=matrices, **self._given,
        )  # fmt: skip

    def look(self) -> Told:
        """What they tell once all that was launched is done: (S, 14 + iterations)."""
        return self._work.runtime.to_host(self._told)

    def _uploaded(self, family: Family, rules: Rules) -> tuple[Array, Array, Array]:
        """What is told at first, the left parts of the maps, and the maps of parameters that are 0, in one upload."""
        told = np.zeros((len(family.left), ENERGIES + rules.iterations))
        told[:, LEFT] = rules.iterations
        left, maps = (matrices[:, :3].reshape(-1, 12) for matrices in (family.left, family.left @ family.right))
        whole = self._work.xp.array(np.concatenate([part.ravel() for part in (told, left, maps)]))
        ends = np.cumsum([told.size, left.size])
        parts = whole[: ends[0]], whole[ends[0] : ends[1]], whole[ends[1] :]
        return parts[0].reshape(told.shape), parts[1].reshape(left.shape), parts[2].reshape(maps.shape)


def _given(compared: Compared, family: Family, rules: Rules) -> dict[str, Any]:
    """The arguments of descend.cu that no search changes."""
    struct, linears = np.zeros(1, _FAMILY), len(family.parts)
    struct["right"], struct["radius"] = family.right[:3].ravel(), family.radius
    struct["parts"][0, :linears] = family.parts
    return {
        "family": struct, "linears": linears, "size": family.size, "formula": FORMULAS[compared.formula],
        "count": len(compared.points), "tolerance": rules.tolerance, "least_overlap": rules.least_overlap,
        "first_step": rules.first_step, "longest_step": rules.longest_step, "sufficient": rules.sufficient,
        "backtracks": rules.backtracks, "patience": rules.patience,
    }  # fmt: skip
