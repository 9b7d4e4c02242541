"""Transform models of the deformable stage: what a level iterates on, and how half-maps are made of it.

Every model has a state, fields that the next level starts from and that the best iteration is remembered by, and the
two half-maps ``to_fixed`` and ``to_moving`` from the middle space, which images are warped by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from warpline.backends import Array, Backend
from warpline.recipe import Syn
from warpline.recipe.syn import ModelName
from warpline.registration.spline_smoothing import SplineSmoothing
from warpline.registration.update_smoothing import UpdateSmoothing
from warpline.space.grid import Grid, Shape
from warpline.space.velocity import exponentiate, half_weights

LEAST_NORM = 3e-5
"""A longest force below this is rounding noise and is not scaled up to a full step."""


class TransformModel(Protocol):
    """The fields of a level."""

    state: Array
    """(N, 3, I, J, K): what is iterated, in voxels of the level."""

    half_maps: Array
    """(2, 3, I, J, K): displacements to the fixed and to the moving image; the state itself where that is these."""

    def follow_state(self) -> None:
        """Make the half-maps of a state that was written from outside."""

    def update(self, updates: Array, norms: Array, step: Array, *, scratch: Array) -> None:
        """Move by updates (2, 3, I, J, K) of both half-maps, the longest vector of which gets a length, and smooth.

        Parameters
        ----------
        updates : (2, 3, I, J, K)
            Smoothed forces; overwritten.
        norms : (2,) float32
            What their longest vectors are taken for, on each side.
        step : (1,) float32
            The length that those get, in voxels.
        scratch : (2, 3, I, J, K)
            Memory to work in.
        """


class ComposedHalfMaps:
    """SyN: both half-maps are composed with every update, ``u <- v + u o (id + v)``, and smoothed."""

    def __init__(self, shape: Shape, options: Syn, backend: Backend) -> None:
        self.state = self.half_maps = backend.empty((2, 3, *shape))
        self._sigma, self._backend = (options.total_sigma,) * 3, backend

    def follow_state(self) -> None:
        """Nothing to do: the half-maps are the state."""

    def update(self, updates: Array, norms: Array, step: Array, *, scratch: Array) -> None:
        """See `TransformModel`."""
        scale = {"norm": norms, "least_norm": LEAST_NORM, "step": step}
        self._backend.compose(self.half_maps, updates, **scale, out=scratch)
        self._backend.smooth(scratch, self._sigma, out=self.half_maps)


class VelocityField:
    """One stationary velocity v, whose half-maps are ``exp(-v / 2)`` and ``exp(v / 2)`` (log-domain demons).

    An update of either half-map is added to the logarithm, ``v <- v - v1 + v2``: the Baker-Campbell-Hausdorff series to
    first order (Vercauteren et al. 2009, doi:10.1016/j.neuroimage.2008.10.040). The next term is a bracket of v with
    v1 + v2, which nearly cancel.
    """

    def __init__(self, shape: Shape, options: Syn, backend: Backend) -> None:
        self.state, self.half_maps = backend.empty((1, 3, *shape)), backend.empty((2, 3, *shape))
        self._sigma, self._backend = (options.total_sigma,) * 3, backend
        self._weights = half_weights(backend)
        self._minus, self._zero, self._plus = (backend.upload(np.array([w], np.float32)) for w in (-1, 0, 1))

    def follow_state(self) -> None:
        """Make the half-maps of the velocity."""
        scratch = self._backend.empty(self.half_maps.shape)
        exponentiate(self.state[0], self._weights, self._backend, out=self.half_maps, scratch=scratch)

    def update(self, updates: Array, norms: Array, step: Array, *, scratch: Array) -> None:
        """See `TransformModel`."""
        backend, nowhere, scaled, moved = self._backend, self.half_maps, scratch, updates[0]
        backend.add_weighted(updates, self._zero, out=nowhere, start=True)
        # Composed with maps that move nothing, updates are scaled, and no number comes to the host for that.
        backend.compose(nowhere, updates, norm=norms, least_norm=LEAST_NORM, step=step, out=scaled)
        for n, (field, weight) in enumerate(
            ((self.state[0], self._plus), (scaled[0], self._minus), (scaled[1], self._plus))
        ):
            backend.add_weighted(field, weight, out=moved, start=n == 0)
        backend.smooth(moved, self._sigma, out=self.state[0])
        exponentiate(self.state[0], self._weights, backend, out=self.half_maps, scratch=scratch)


MODELS: dict[ModelName, Callable[[Shape, Syn, Backend], TransformModel]] = {
    "syn": ComposedHalfMaps,
    "bspline": ComposedHalfMaps,
    "velocity": VelocityField,
}
"""The models that `Syn.model` names."""


class Smoothing(Protocol):
    """Makes updates of forces."""

    def smooth(self, forces: Array, *, out: Array, out_norm: Array) -> None:
        """Write the updates to `out`; `out_norm` (2,) is raised to their longest vector on each side."""


def update_smoothing(grid: Grid, number: int, options: Syn, backend: Backend) -> Smoothing:
    """How forces (2, 3, I, J, K) on a grid become updates at a level, the first of which has the number 0."""
    return SMOOTHINGS[options.model](grid, number, options, backend)


def _by_gaussians(grid: Grid, number: int, options: Syn, backend: Backend) -> Smoothing:
    return UpdateSmoothing((2, 3, *grid.shape), options.update_sigma, options.update_weights, backend)


def _by_splines(grid: Grid, number: int, options: Syn, backend: Backend) -> Smoothing:
    voxel = float(grid.voxel_size[np.array(grid.shape) > 1].min(initial=np.inf))
    return SplineSmoothing((2, 3, *grid.shape), options.spline_spacing / 2**number / voxel, backend)


SMOOTHINGS: dict[ModelName, Callable[[Grid, int, Syn, Backend], Smoothing]] = {
    "syn": _by_gaussians,
    "bspline": _by_splines,
    "velocity": _by_gaussians,
}
"""How each model smooths its updates."""
