"""Affine maps fitted to matched points by least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.space import Affine

Points = NDArray[np.float64]

Fit = Callable[[Points, Points, int], Affine]
"""From fixed points (N, 3), moving ones and the number of coordinates that count, as `fit_rigid`."""

SPREAD = 0.01
"""Least extent of points across a line, or a plane, in that along their longest direction; below, they are in it."""


def spans(points: Points, least: int) -> bool:
    """Whether points (N, 3) reach out in at least so many dimensions."""
    sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return len(points) > least and bool(sizes[least - 1] > SPREAD * sizes[0])


def fit_rigid(fixed: Points, moving: Points, axes: int) -> Affine:
    """The rotation and translation that bring fixed points (N, 3) nearest to moving ones, by Umeyama 1991.

    Parameters
    ----------
    fixed, moving : (N, 3)
        World, mm; row by row the same place.
    axes : {2, 3}
        Coordinates that count; the others are left alone.
    """
    return _umeyama(fixed, moving, axes, scaled=False)


def fit_similarity(fixed: Points, moving: Points, axes: int) -> Affine:
    """As `fit_rigid`, with one scale."""
    return _umeyama(fixed, moving, axes, scaled=True)


def fit_affine(fixed: Points, moving: Points, axes: int) -> Affine:
    """The affine map that brings fixed points (N, 3) nearest to moving ones.

    Raises
    ------
    InputError
        When it mirrors.
    """
    centre = fixed.mean(axis=0)
    known = np.column_stack([(fixed - centre)[:, :axes], np.ones(len(fixed))])
    solution = np.linalg.lstsq(known, moving[:, :axes], rcond=None)[0]
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


def _umeyama(fixed: Points, moving: Points, axes: int, *, scaled: bool) -> Affine:
    sides = fixed[:, :axes], moving[:, :axes]
    centres = [side.mean(axis=0) for side in sides]
    still, moved = (side - centre for side, centre in zip(sides, centres, strict=True))
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
