"""ITK's B-spline transforms (free-form deformations), sampled as a dense displacement field.

The fixed parameters are size, origin, spacing and direction of the lattice, the others the coefficients of each
component, LPS mm, x fastest. A point moves by ``sum_k c_k prod_a B(v_a - k_a)``, v its index on the lattice and B the
centred B-spline of the order that the class name ends in, 3 where it ends in none (Rueckert et al. 1999,
doi:10.1109/42.796284). Near and beyond the outer knots, where the splines do not add up to 1, ITK moves nothing.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io import limits
from warpline.io.transform_files import itk_fields
from warpline.space import Displacement
from warpline.space.grid import Grid

Doubles = NDArray[np.float64]

ORDERS = range(1, 6)
"""Of the splines that are read."""

TOLERANCE = 2e-4
"""Share of the smallest distance of knots by which the field, read linearly, may miss the splines."""

MOST_STEPS, MOST_SAMPLES = 32, 2**24
"""Samples from knot to knot at most, and voxels of the largest field that is made.

Second differences of half a spacing, beyond which maps fold, need 30 samples from knot to knot.
"""

_COPIES = 3
"""Of the largest field in memory while it is made, in double precision."""

_WORTH_SAYING = 5
"""Multiple of the tolerance above which a warning gives the approximation error."""

_log = logging.getLogger(__name__)


def to_displacement(parameters: NDArray[Any], fixed: Doubles, dimension: int, order: int, path: Path) -> Displacement:
    """The field of a ``BSplineTransform``, sampled so finely that linear interpolation stays within `TOLERANCE`.

    Parameters
    ----------
    parameters, fixed : (n,)
        As in the file.
    dimension, order : int
        2 or 3; one of `ORDERS`.
    path : Path
        What error messages call the file.

    Raises
    ------
    InputError
        When the numbers do not describe one.
    """
    knots = itk_fields.lattice(fixed, dimension, path)
    shape = knots.shape[:dimension]
    if order not in ORDERS or min(shape) <= order:
        raise InputError(
            f"{path} has splines of order {order} on {shape} knots; orders {ORDERS[0]} to {ORDERS[-1]} can be read, "
            "with more knots than that along each axis"
        )
    if parameters.size != dimension * math.prod(shape) or not np.isfinite(parameters.astype(np.float32)).all():
        raise InputError(f"{path}: {parameters.size} numbers are no finite coefficients of {dimension} x {shape} knots")
    coefficients = parameters.astype(np.float64).reshape((*shape, dimension), order="F")
    steps = _steps(coefficients, order, float(knots.voxel_size[:dimension].min()), path)
    samples = math.prod((size - order) * step + 1 for size, step in zip(shape, steps, strict=True))
    limits.check_memory(path, _COPIES * samples * dimension * coefficients.itemsize)
    for axis, step in enumerate(steps):
        weights = _weights(shape[axis], order, step)
        coefficients = np.asarray(np.moveaxis(np.tensordot(weights, coefficients, (1, axis)), 0, axis), np.float64)
    dense = [np.atleast_3d(coefficients[..., c]) for c in range(dimension)]
    return Displacement(itk_fields.components(dense, path), _grid(knots, dense[0].shape, order, steps))


def _steps(coefficients: Doubles, order: int, spacing: float, path: Path) -> tuple[int, ...]:
    """Samples from knot to knot along each axis.

    Along an axis, linear interpolation misses by at most ``u'' / (8 steps^2)``, and u'' is at most the largest second
    difference of the coefficients.
    """
    dimension = coefficients.shape[-1]
    bends = [np.linalg.norm(np.diff(coefficients, 2, axis), axis=-1).max(initial=0) for axis in range(dimension)]
    wanted = np.ones(dimension) if order == 1 else np.sqrt(dimension * np.array(bends) / (8 * TOLERANCE * spacing))
    intervals = np.array(coefficients.shape[:-1]) - order
    wanted = np.minimum(wanted, MOST_STEPS)
    size = float(np.prod(intervals * np.maximum(wanted, 1) + 1))
    if size > MOST_SAMPLES:
        wanted = np.floor(wanted * (MOST_SAMPLES / size) ** (1 / dimension))
    steps = np.clip(np.ceil(wanted), 1, MOST_STEPS).astype(int)
    missed = 0.0 if order == 1 else float((np.array(bends) / (8 * steps**2)).sum())
    if missed > _WORTH_SAYING * TOLERANCE * spacing:
        _log.warning(
            "%s bends so sharply that it is read to %.2g mm: it is sampled at %s steps per knot", path, missed, steps
        )
    return tuple(steps.tolist())


def _weights(count: int, order: int, step: int) -> Doubles:
    """Weight of each of `count` coefficients at each sample; there are some wherever the splines add up to 1."""
    from scipy.interpolate import BSpline  # loads much of SciPy, for few files

    basis = BSpline.basis_element(np.arange(order + 2) - (order + 1) / 2, extrapolate=False)
    places = (order - 1) / 2 + np.arange((count - order) * step + 1) / step
    return np.nan_to_num(basis(places[:, None] - np.arange(count)))


def _grid(knots: Grid, shape: tuple[int, ...], order: int, steps: tuple[int, ...]) -> Grid:
    zoom = np.eye(4)
    for axis, step in enumerate(steps):
        zoom[axis, axis], zoom[axis, 3] = 1 / step, (order - 1) / 2
    return Grid(shape, knots.affine @ zoom, knots.flat)  # type: ignore[arg-type]
