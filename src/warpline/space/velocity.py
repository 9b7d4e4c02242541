"""Stationary velocity fields: the maps that they generate, by scaling and squaring.

``exp(v)`` is where a point is after flowing along v for a unit of time. It is a short step, composed with itself again
and again (Arsigny et al. 2006, doi:10.1007/11866565_113); its inverse is ``exp(-v)``. Fields on one grid can be added
and averaged, which maps cannot.
"""

from __future__ import annotations

import math

import numpy as np

from warpline.backends import Array, Backend, select
from warpline.space.fields import to_voxels, to_world
from warpline.space.preimages import check_finite_field
from warpline.space.transforms import Displacement

SQUARINGS = 6
"""Squarings of a half-map ``exp(v / 2)``, which begin with a step of ``v / 128``: of a voxel, 128 voxels. `exponential`
takes one more for the whole map."""

LONGEST_STEP = 1.0
"""Longest first step in voxels; longer fields are squared more often."""


def half_weights(backend: Backend, squarings: int = SQUARINGS) -> Array:
    """Factors (2,) of a velocity in the first steps towards ``exp(-v / 2)`` and ``exp(v / 2)``."""
    return backend.upload(np.array([-0.5, 0.5], np.float32) / np.float32(2**squarings))


def exponentiate(
    velocity: Array, weights: Array, backend: Backend, *, squarings: int = SQUARINGS, out: Array, scratch: Array
) -> Array:
    """``exp(2^squarings w v)`` for each weight w; nothing waits, nothing is allocated.

    Parameters
    ----------
    velocity : (3, I, J, K)
        In voxels.
    weights : (S,) float32
        Of the first step, on the backend.
    squarings : int
        How often the step is composed with itself.
    out, scratch : (S, 3, I, J, K)
        The displacements, in voxels, and memory to work in.
    """
    now, then = (scratch, out) if squarings % 2 else (out, scratch)
    for n, step in enumerate(now):
        backend.add_weighted(velocity, weights[n : n + 1], out=step, start=True)
    for _ in range(squarings):
        backend.compose(now, now, out=then)
        now, then = then, now
    return out


def half_maps_of(velocity: Array, backend: Backend) -> tuple[Array, Array]:
    """``exp(-v / 2)`` and ``exp(v / 2)`` (3, I, J, K) of a velocity (3, I, J, K), all in voxels of one grid."""
    out, scratch = (backend.empty((2, *velocity.shape)) for _ in range(2))
    exponentiate(velocity, half_weights(backend), backend, out=out, scratch=scratch)
    return out[0], out[1]


def exponential(
    velocity: Displacement, *, backend: str | Backend | None = None, threads: int | None = None
) -> Displacement:
    """The map that a stationary velocity field generates, with its inverse, the map of the negative field.

    Parameters
    ----------
    velocity : Displacement
        Its `field` (3, I, J, K) is the velocity in mm (world R, A, S, fixed world to moving world) per unit of time, as
        `Registration.velocity` and ``Velocity.nii.gz`` hold it. Fields of several registrations onto one fixed grid may
        be averaged first.
    backend, threads
        Where it is computed, as in `warpline.backends.select`.

    Returns
    -------
    Displacement
        On the grid of the field, with its inverse, in mm.

    Raises
    ------
    InputError
        When the field holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Displacement, Grid
    >>> from warpline.space import exponential
    >>> velocity = np.zeros((3, 8, 8, 8), np.float32)
    >>> velocity[0] = 0.5
    >>> shift = exponential(Displacement(velocity, Grid((8, 8, 8), np.eye(4))))
    >>> shift.map_points([[3.0, 3.0, 3.0]]), shift.inverse().map_points([[3.5, 3.0, 3.0]])
    (array([[3.5, 3. , 3. ]]), array([[3., 3., 3.]]))
    """
    check_finite_field(velocity)
    chosen, grid = select(backend, threads), velocity.grid
    with chosen.session():
        field = chosen.upload(np.ascontiguousarray(to_voxels(velocity.field, grid), np.float32))
        squarings = max(SQUARINGS + 1, _needed(chosen.statistics(field, 1.0)[3]))
        weights = chosen.upload(np.array([1.0, -1.0], np.float32) / np.float32(2**squarings))
        out, scratch = (chosen.empty((2, *field.shape)) for _ in range(2))
        exponentiate(field, weights, chosen, squarings=squarings, out=out, scratch=scratch)
        there, back = (to_world(chosen.download(one), grid) for one in out)
    return Displacement(there, grid, back)


def _needed(longest: float) -> int:
    """Squarings after which a first step is short enough, for a field whose longest vector has so many voxels."""
    return math.ceil(math.log2(max(float(longest) / LONGEST_STEP, 1.0)))
