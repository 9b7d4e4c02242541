"""The GPU backend's affine searches: the metric and a BFGS step of every search as a captured graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import cuda_points
from warpline.backends.affine_problem import MAX_PARAMETERS, AffineFamily, BfgsOptions, MetricInputs
from warpline.backends.arrays import Array
from warpline.backends.cuda_workspace import Workspace

BATCH = 16
"""Evaluations of the metric between two downloads. Most levels of brains take 11 to 16; those beyond the end of all
searches are three launches that return at once, for about a third of what a download costs."""
THREADS = 160
"""Of a block of bfgs.cu: one for each entry of a matrix of 12 by 12, in whole warps."""
STATE_SIZE = 295
"""Numbers of the state of a search; bfgs.cu."""
STEPS_LEFT, STEPS_TAKEN, POSITION, ENERGIES = 0, 1, 2, 2 + MAX_PARAMETERS
"""Layout of the status of a search: steps left and taken, parameters, value of the metric after each step."""
FORMULAS = {"mutual_information": 0, "correlation": 1, "normalised_product": 2}
"""Formula of a linear metric, see `warpline.backends.affine_problem.Formula`, to its number in bfgs.cu."""

_FAMILY = np.dtype([("right", np.float64, 12), ("radius", np.float64), ("kinds", np.int32, MAX_PARAMETERS)], align=True)

Status = NDArray[np.float64]


def minimise(
    work: Workspace,
    inputs: MetricInputs,
    family: AffineFamily,
    options: BfgsOptions,
    on_step: Callable[[int, float], None],
) -> NDArray[np.float64] | None:
    """See `Backend.minimise_affine`; as many searches side by side as their histograms leave memory for."""
    if inputs.formula not in FORMULAS:
        return None
    most = cuda_points.most_at_once(max(inputs.bins, 1))
    parameters = np.zeros((len(family.left), family.size))
    for first in range(0, len(parameters) if options.iterations > 0 else 0, most):
        part = replace(family, left=family.left[first : first + most])
        reported = np.zeros(len(part.left), int)
        with work.session():
            for status in _statuses(work, Searches(work, inputs, part, options)):
                _report(status, reported, first, on_step)
        parameters[first : first + most] = status[:, POSITION : POSITION + family.size]
    return parameters


def _statuses(work: Workspace, searches: Searches) -> Iterator[Status]:
    """Run all searches to their end; yields their status after every `BATCH` evaluations."""
    running = True
    while running:
        work.repeat(searches.step, BATCH)
        status = searches.status()
        running = bool(status[:, STEPS_LEFT].any())
        yield status


def _report(status: Status, reported: NDArray[np.int64], first: int, on_step: Callable[[int, float], None]) -> None:
    """Call `on_step` for the steps that are new, of searches numbered from `first` on."""
    for number, row in enumerate(status):
        for energy in row[ENERGIES + reported[number] : ENERGIES + int(row[STEPS_TAKEN])].tolist():
            on_step(first + number, energy)
        reported[number] = row[STEPS_TAKEN]


class Searches:
    """Searches side by side, on the device.

    Parameters
    ----------
    work : Workspace
        Where they run.
    inputs, family, options
        See `Backend.minimise_affine`.
    """

    def __init__(self, work: Workspace, inputs: MetricInputs, family: AffineFamily, options: BfgsOptions) -> None:
        many = len(family.left)
        self._work, self._inputs = work, inputs
        self._points = cuda_points.PointKernels(work, inputs.points, inputs.values, inputs.volume, inputs.mask)
        self._status, self._left, self._matrices = self._uploaded(family, options)
        self._states, self._ended = work.xp.zeros((many, STATE_SIZE), np.float64), work.xp.zeros((many,), np.uint8)
        self._constants = _constants(inputs, family, options)

    def step(self) -> None:
        """Evaluate the metric at the candidate of every running search, and take a BFGS step."""
        matrices, ended = self._matrices, self._ended
        if self._inputs.formula == "mutual_information":
            sums = self._points.information_at(matrices, self._inputs.bins, ended)
        else:
            sums = self._points.moments_at(matrices, ended)
        self._work.launch(
            "bfgs", (len(matrices), 1, 1), block=(THREADS, 1, 1), sums=sums, left=self._left, status=self._status,
            states=self._states, ended=ended, matrices=matrices, **self._constants,
        )  # fmt: skip

    def status(self) -> Status:
        """Their status once all that was launched is done: (S, 14 + iterations)."""
        return self._work.runtime.to_host(self._status)

    def _uploaded(self, family: AffineFamily, options: BfgsOptions) -> tuple[Array, Array, Array]:
        """The initial status, the left factors, and the maps of parameters that are 0, in one upload."""
        status = np.zeros((len(family.left), ENERGIES + options.iterations))
        status[:, STEPS_LEFT] = options.iterations
        left, maps = (matrices[:, :3].reshape(-1, 12) for matrices in (family.left, family.left @ family.right))
        whole = self._work.xp.array(np.concatenate([part.ravel() for part in (status, left, maps)]))
        ends = np.cumsum([status.size, left.size])
        parts = whole[: ends[0]], whole[ends[0] : ends[1]], whole[ends[1] :]
        return parts[0].reshape(status.shape), parts[1].reshape(left.shape), parts[2].reshape(maps.shape)


def _constants(inputs: MetricInputs, family: AffineFamily, options: BfgsOptions) -> dict[str, Any]:
    """The arguments of bfgs.cu that stay the same for all steps."""
    struct, linears = np.zeros(1, _FAMILY), len(family.kinds)
    struct["right"], struct["radius"] = family.right[:3].ravel(), family.radius
    struct["kinds"][0, :linears] = family.kinds
    return {
        "family": struct, "linears": linears, "size": family.size, "formula": FORMULAS[inputs.formula],
        "count": len(inputs.points), "tolerance": options.tolerance, "least_overlap": options.least_overlap,
        "first_step": options.first_step, "longest_step": options.longest_step, "armijo": options.armijo,
        "max_backtracks": options.backtracks, "patience": options.patience,
    }  # fmt: skip
