"""Multi-start search for the affine map that minimises an objective: BFGS on every start, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from warpline.registration.affine_parameters import AffineParameters
from warpline.registration.bfgs import bfgs_options, minimise
from warpline.registration.objective import LEAST_OVERLAP, AffineObjective

SMALLEST_DECREASE = 1e-6
"""Relative decrease of the metric per iteration below which a search has converged.

Larger ones stop before the optimum; smaller ones spend iterations on steps that move nothing."""


class MultiStartBfgs:
    """BFGS searches over the parameters of an affine map, from several starts.

    Parameters
    ----------
    objective : AffineObjective
        What is minimised.
    parameters : AffineParameters
        Of a map of fixed world points that is applied before a start.
    starts : (S, 4, 4)
        Fixed world to moving world.
    """

    def __init__(self, objective: AffineObjective, parameters: AffineParameters, starts: NDArray[np.float64]) -> None:
        self._objective = objective
        self._parameters = parameters
        self._starts = starts
        self._linear_transposed = np.ascontiguousarray(starts[:, :3, :3].transpose(0, 2, 1))

    def values_and_gradients(
        self, which: Sequence[int], parameters: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The objective (A,) at ``starts[which] matrix(parameters)``, and its gradients (A, size)."""
        matrices, derivatives = self._parameters.matrices(parameters)
        at = slice(None) if len(which) == len(self._starts) else list(which)
        values, by_world = self._objective.values_and_derivatives(self._starts[at] @ matrices)
        return values, np.einsum("aij,apij->ap", self._linear_transposed[at] @ by_world, derivatives)

    def run(self, iterations: int, on_step: Callable[[int, float], None] = lambda *_: None) -> NDArray[np.float64]:
        """Maps (S, 4, 4) that minimise the objective, one from each start.

        At most so many `iterations` are run; after each, `on_step` receives the number of the start and the value of
        the objective. The backend searches where it can (a GPU); else the searches run here.
        """
        options = bfgs_options(iterations, SMALLEST_DECREASE, LEAST_OVERLAP)
        parameters = self._objective.minimise_on_backend(self._parameters, self._starts, options, on_step)
        if parameters is None:
            zero = np.zeros((len(self._starts), self._parameters.size))
            parameters = minimise(
                self.values_and_gradients, zero, iterations=iterations, tolerance=SMALLEST_DECREASE, on_step=on_step
            )
        return np.asarray(self._starts @ self._parameters.matrices(parameters)[0])
