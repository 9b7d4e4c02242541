"""Points through transforms, in the direction that is asked for by name."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from warpline.errors import InputError, UsageError
from warpline.io.transform_lists import Entries
from warpline.operations.chains import read_chain
from warpline.operations.reading import GridLike
from warpline.space import Chain, Displacement, Transform
from warpline.space.preimages import Doubles, preimages

Destination = Literal["fixed", "moving"]

RESIDUAL_WARNING_MM = 0.01
"""Residual in mm above which a point is reported."""

_log = logging.getLogger(__name__)


def apply_points(
    points: ArrayLike,
    transforms: Entries,
    *,
    to: Destination,
    fixed: GridLike | None = None,
    moving: GridLike | None = None,
    geometry: str | None = None,
) -> Doubles:
    """Carry points between the two images of a registration.

    Parameters
    ----------
    points : (..., 3)
        World, RAS+ mm: of the fixed image when `to` is ``"moving"``, and the other way round.
    transforms : transform, path or a sequence of them
        The list that carries the moving *image* onto the fixed grid, as for `apply`, whatever the direction here.
    to : {"moving", "fixed"}
        Where the points go. To ``"moving"`` they go through the transforms as they are; to ``"fixed"`` the point
        that arrives at each of them is searched for, which is exact wherever the map does not fold.
    fixed, moving : Grid, Image, path, nibabel image or (array, affine), optional
        Some transform formats cannot be read without them.
    geometry : {"sform", "qform"}, optional
        Which matrix of their NIfTI headers to take where both are set; the sform when None.

    Returns
    -------
    (..., 3) float64
        World, RAS+ mm, of the image called `to`.

    Raises
    ------
    UsageError
        When `to` is another word.
    InputError
        When points are not finite or have not three coordinates, or a transform cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> wider = warpline.Affine(np.diag([2.0, 1.0, 1.0, 1.0]))
    >>> warpline.apply_points(np.array([[1.0, 0.0, 0.0]]), wider, to="moving")
    array([[2., 0., 0.]])
    """
    chain = read_chain(transforms, fixed=fixed, moving=moving, geometry=geometry)
    return map_points(chain, points, to)


def apply_streamlines(
    streamlines: Iterable[ArrayLike],
    transforms: Entries,
    *,
    to: Destination,
    fixed: GridLike | None = None,
    moving: GridLike | None = None,
    geometry: str | None = None,
) -> list[Doubles]:
    """Carry streamlines between the two images of a registration.

    Parameters
    ----------
    streamlines : iterable of (N, 3)
        World, RAS+ mm, as nibabel and DIPY hold them.
    transforms, to, fixed, moving, geometry
        As in `apply_points`: ``to="fixed"`` carries streamlines of the moving image to the fixed one.

    Returns
    -------
    list of (N, 3) float64
        World, RAS+ mm, of the image called `to`.

    Raises
    ------
    UsageError, InputError
        As `apply_points` does.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> wider = warpline.Affine(np.diag([2.0, 1.0, 1.0, 1.0]))
    >>> line = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
    >>> warpline.apply_streamlines([line], wider, to="fixed")[0]
    array([[0., 0., 0.],
           [2., 0., 0.]])
    """
    lines = [np.asarray(line, dtype=np.float64).reshape(-1, 3) for line in streamlines]
    points = np.concatenate([np.zeros((0, 3)), *lines])
    carried = apply_points(points, transforms, to=to, fixed=fixed, moving=moving, geometry=geometry)
    return np.split(carried, np.cumsum([len(line) for line in lines])[:-1]) if lines else []


def map_points(transform: Transform, points: ArrayLike, to: Destination) -> Doubles:
    """As `apply_points`, through one transform."""
    if to not in _DIRECTIONS:
        raise UsageError(f"to is {to!r}; choose from {', '.join(_DIRECTIONS)}")
    where = np.asarray(points, dtype=np.float64)
    if where.ndim < 1 or where.shape[-1] != 3:
        raise InputError(f"points have shape {where.shape}; three coordinates each, (..., 3), are needed")
    if not np.isfinite(where).all():
        raise InputError("points hold NaN or infinite coordinates; remove them")
    return _DIRECTIONS[to](transform, where)


def _to_moving(transform: Transform, points: Doubles) -> Doubles:
    _warn_beyond(transform, points)
    moved = transform.map_points(points)
    unknown = np.isnan(moved).any(axis=-1)
    if unknown.any():
        _log.warning(
            "%d of %d points become NaN: the field is not known there", np.count_nonzero(unknown), unknown.size
        )
    return moved


def _to_fixed(transform: Transform, points: Doubles) -> Doubles:
    found = preimages(transform, points)
    missed = found.residual > RESIDUAL_WARNING_MM
    if missed.any():
        _log.warning(
            "%d of %d points have no exact preimage and miss by up to %.2f mm: the map folds there, or leaves its grid",
            np.count_nonzero(missed),
            missed.size,
            found.residual.max(),
        )
    _warn_beyond(transform, found.points)
    return found.points


def _warn_beyond(transform: Transform, points: Doubles) -> None:
    """Warn of points of the fixed image that pass a field beyond its grid, where it moves nothing."""
    where = points.reshape(-1, 3)
    beyond = np.zeros(len(where), bool)
    for part in Chain.of(transform).parts:
        if isinstance(part, Displacement):
            beyond |= ~part.grid.contains(where)
        where = part.map_points(where)
    if beyond.any():
        _log.warning(
            "%d of %d points lie beyond the grid of a warp, which leaves them where they are: "
            "are they of the right image, and in RAS or LPS as said?",
            np.count_nonzero(beyond),
            beyond.size,
        )


_DIRECTIONS = {"moving": _to_moving, "fixed": _to_fixed}
