"""Affine maps fitted to matched points by least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.space import Affine

Points = NDArray[np.float64]

Fit = Callable[[Points, Points, int, Points | None], Affine]
"""From fixed points (N, 3), moving ones, the number of coordinates that count and weights (N,), as `fit_rigid`."""

SPREAD = 0.01
"""Least extent of points across a line, or a plane, in that along their longest direction; below, they are in it."""


def spans(points: Points, least: int) -> bool:
    """Whether points (N, 3) reach out in at least so many dimensions."""
    sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return len(points) > least and bool(sizes[least - 1] > SPREAD * sizes[0])


def fit_rigid(fixed: Points, moving: Points, axes: int, weights: Points | None = None) -> Affine:
    """The rotation and translation that bring fixed points (N, 3) nearest to moving ones, by Umeyama 1991.

    Parameters
    ----------
    fixed, moving : (N, 3)
        World, mm; row by row the same place.
    axes : {2, 3}
        Coordinates that count; the others are left alone.
    weights : (N,), optional
        Of the squared distances; all alike when None.
    """
    return _umeyama((fixed, moving), axes, weights, scaled=False)


def fit_similarity(fixed: Points, moving: Points, axes: int, weights: Points | None = None) -> Affine:
    """As `fit_rigid`, with one scale."""
    return _umeyama((fixed, moving), axes, weights, scaled=True)


def fit_affine(fixed: Points, moving: Points, axes: int, weights: Points | None = None) -> Affine:
    """The affine map that brings fixed points (N, 3) nearest to moving ones; weights as of `fit_rigid`.

    Raises
    ------
    InputError
        When it mirrors.
    """
    centre = fixed.mean(axis=0)
    known = np.column_stack([(fixed - centre)[:, :axes], np.ones(len(fixed))])
    rows = np.ones((len(fixed), 1)) if weights is None else np.sqrt(weights)[:, None]
    solution = np.linalg.lstsq(rows * known, rows * moving[:, :axes], rcond=None)[0]
    linear = solution[:axes].T
    if np.linalg.det(linear) <= 0:
        raise InputError(
            "the points of one image mirror those of the other; are left and right exchanged, or their order?"
        )
    return _embedded(linear, solution[axes] - linear @ centre[:axes])


FITS: Mapping[str, Fit] = {
    "rigid": fit_rigid,
    "similarity": fit_similarity,
    "affine": fit_affine,
}
"""How a map is fitted, by the names recipes use."""


def _umeyama(points: tuple[Points, Points], axes: int, weights: Points | None, *, scaled: bool) -> Affine:
    sides = [side[:, :axes] for side in points]
    centres = [np.average(side, axis=0, weights=weights) for side in sides]
    rows = np.ones((len(sides[0]), 1)) if weights is None else np.sqrt(weights)[:, None]
    still, moved = (rows * (side - centre) for side, centre in zip(sides, centres, strict=True))
    left, sizes, right = np.linalg.svd(moved.T @ still)
    signs = np.ones(axes)
    signs[-1] = np.sign(np.linalg.det(left @ right))
    linear = (left * signs) @ right
    if scaled:
        linear *= (sizes * signs).sum() / np.square(still).sum()
    return _embedded(linear, centres[1] - linear @ centres[0])


def _embedded(linear: Points, shift: Points) -> Affine:
    """An affine map of as many coordinates as a matrix has rows, which leaves the others alone."""
    axes = len(linear)
    matrix = np.eye(4)
    matrix[:axes, :axes], matrix[:axes, 3] = linear, shift
    return Affine(matrix)
