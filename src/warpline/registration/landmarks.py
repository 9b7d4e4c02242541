"""Landmarks of two images, and the maps that are fitted to them as a start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import Backend
from warpline.errors import InputError, UsageError
from warpline.io.points import read_point_table
from warpline.recipe.linear import LandmarkModel
from warpline.registration.planes import in_planes_of
from warpline.registration.point_fits import FITS, fit_affine, spans
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.fields import to_voxels
from warpline.space.grid import Grid, apply_affine

Points = NDArray[np.float64]

LARGE_MEAN, LARGE_DISTANCE = 8.0, 20.0
"""Mean and largest distance between landmarks after registration, in mm of a head, above which there is a warning.

Centres of 15 regions of two brains are 4 mm apart under the rigid map fitted to them, the worst 10 mm."""

MOST_NODES = 2**20
"""Most voxels of the field of a thin-plate spline; between them it is interpolated."""

_WIDER = 0.15
"""Share of its extent by which the field of a spline reaches beyond the fixed image."""

_SHOWN = 4
"""Most names that a message lists."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Points of the fixed image and the same anatomical places in the moving image.

    Parameters
    ----------
    fixed, moving : (N, 3) float64
        World, RAS+ mm, each of its image; row by row the same place.
    names : tuple of str
        A name for each; numbers from 1 on when there are none.

    Raises
    ------
    InputError
        When there are none, their numbers differ, or one is not finite or stands twice.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine
    >>> from warpline.registration import Landmarks
    >>> landmarks = Landmarks(np.eye(3), np.eye(3) + [0, 0, 2], ("nose", "left ear", "right ear"))
    >>> landmarks.distances(Affine.identity())
    array([2., 2., 2.])
    """

    fixed: Points
    moving: Points
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for side in ("fixed", "moving"):
            object.__setattr__(self, side, _checked(getattr(self, side), side))
        counts = len(self.fixed), len(self.moving)
        if counts[0] != counts[1]:
            raise InputError(f"{counts[0]} fixed landmarks and {counts[1]} moving ones; one for one is needed")
        names = tuple(self.names) or tuple(str(number) for number in range(1, counts[0] + 1))
        if len(names) != counts[0]:
            raise InputError(f"{len(names)} names of {counts[0]} landmarks; one for each is needed, or none")
        object.__setattr__(self, "names", names)
        for side in ("fixed", "moving"):
            self._check_distinct(side, getattr(self, side))

    @classmethod
    def of(cls, source: LandmarkSource, space: str = "ras") -> Landmarks:
        """Landmarks from arrays, or from tables of points as `apply-points` reads them.

        Parameters
        ----------
        source : Landmarks or pair of (N, 3) arrays or paths
            Of the fixed and of the moving image. Tables that both have a column name (or landmark, or label) are
            joined by it, others by the order of their lines.
        space : {"ras", "lps"}
            Convention of the coordinates of tables.

        Raises
        ------
        UsageError
            When it is no pair.
        InputError
            When a table cannot be read, or the names differ.
        """
        if isinstance(source, Landmarks):
            return source
        if not isinstance(source, (tuple, list)) or len(source) != 2:
            raise UsageError("landmarks are no pair (fixed, moving); two arrays (N, 3) or two tables are needed")
        paths = [side for side in source if isinstance(side, (str, os.PathLike))]
        if len(paths) == 2:
            return _from_tables(paths[0], paths[1], space)
        if paths:
            raise UsageError("landmarks are a table and an array; two tables or two arrays are needed")
        fixed, moving = (_checked(side, name) for name, side in zip(("fixed", "moving"), source, strict=True))
        return cls(fixed, moving)

    def distances(self, transform: Transform) -> Points:
        """How far the fixed landmarks are from the moving ones after a transform, fixed to moving world: (N,) in mm."""
        distances: Points = np.linalg.norm(transform.map_points(self.fixed) - self.moving, axis=1)
        return distances

    def in_fixed_world(self, affine: Affine) -> Points:
        """Those of the fixed image, and of the moving one carried back through an affine: (2, N, 3)."""
        return np.stack([self.fixed, affine.inverse().map_points(self.moving)])

    def in_planes_of(self, fixed: Grid, moving: Grid) -> Landmarks:
        """The same with those of 2-D images each at the height of its image; else themselves."""
        return Landmarks(*in_planes_of(fixed, moving, self._sides), self.names) if fixed.flat else self

    def beyond(self, fixed: Grid, moving: Grid) -> tuple[str, ...]:
        """A sentence for landmarks that do not lie in their image."""
        inside = (grid.contains(side) for grid, side in zip((fixed, moving), self._sides, strict=True))
        lost = ((name, np.flatnonzero(~within)) for name, within in zip(("fixed", "moving"), inside, strict=True))
        return tuple(
            f"{len(which)} of {len(self.fixed)} landmarks lie outside the {name} image ({self.listed(which)}): are "
            "they of this image, and in RAS or LPS as said (--space)?"
            for name, which in lost
            if len(which)
        )

    def listed(self, which: Sequence[int] | NDArray[np.intp]) -> str:
        """Names of some of them, for messages."""
        names = ", ".join(self.names[at] for at in which[:_SHOWN])
        return names + (", ..." if len(which) > _SHOWN else "")

    @property
    def _sides(self) -> tuple[Points, Points]:
        return self.fixed, self.moving

    def _check_distinct(self, side: str, points: Points) -> None:
        _, first, inverse = np.unique(points, axis=0, return_index=True, return_inverse=True)
        again = np.flatnonzero(first[inverse.ravel()] != np.arange(len(points)))
        if len(again):
            one = int(first[inverse.ravel()[again[0]]])
            raise InputError(
                f"{side} landmarks {self.names[one]} and {self.names[again[0]]} are the same point; remove one of them"
            )


LandmarkSource = Landmarks | tuple[ArrayLike | str | os.PathLike[str], ArrayLike | str | os.PathLike[str]]
"""Landmarks, or those of the fixed and of the moving image: arrays (N, 3) in RAS+ mm or tables of points."""


@dataclass(frozen=True, eq=False)
class LandmarkErrors:
    """How far landmarks of the two images are apart, in mm of the moving world.

    Parameters
    ----------
    landmarks : Landmarks
        Which.
    model : str or None
        The map that was fitted to them as a start; None where another start was given.
    start, result : (N,)
        Distances under the start and under the whole map.
    """

    landmarks: Landmarks
    model: str | None
    start: Points
    result: Points

    @classmethod
    def of(cls, landmarks: Landmarks, model: str | None, start: Transform, whole: Transform) -> LandmarkErrors:
        """Under a start and under the whole map, both fixed world to moving world."""
        return cls(landmarks, model, landmarks.distances(start), landmarks.distances(whole))

    def as_report(self) -> dict[str, Any]:
        """As plain values for the report."""
        stages = {"start": self.start, "result": self.result}
        summaries = {name: {"mean": d.mean(), "max": d.max(), "each": d} for name, d in stages.items()}
        return {"model": self.model, "count": len(self.start), "names": list(self.landmarks.names), **summaries}

    def warnings(self, unit: float) -> tuple[str, ...]:
        """A sentence where landmarks end far apart; `unit` is the length of a millimetre of a head in mm."""
        worst = int(self.result.argmax())
        if self.result[worst] <= LARGE_DISTANCE * unit and self.result.mean() <= LARGE_MEAN * unit:
            return ()
        return (
            f"landmark {self.landmarks.names[worst]} ends {self.result[worst]:.3g} mm from its counterpart (mean of "
            f"all {self.result.mean():.3g} mm, {self.start.mean():.3g} mm at the start): landmarks and images "
            "disagree; check the order, the places and the space (--space) of the landmarks, and look at the result",
        )


def start_from(landmarks: Landmarks, model: LandmarkModel, grid: Grid, backend: Backend) -> Transform:
    """The map, fixed world to moving world, that is fitted to landmarks; of 2-D images it stays in the fixed plane.

    Parameters
    ----------
    landmarks : Landmarks
        At least three that are not in a line; of affine and thin_plate four that are not in a plane. In 2-D one less.
    model : {"rigid", "similarity", "affine", "thin_plate"}
        The first two by least squares after Umeyama 1991, doi:10.1109/34.88573, affine by linear least squares.
        thin_plate is the interpolating spline of least bending energy after Bookstein 1989, doi:10.1109/34.24792: its
        kernel is ``r^2 log r`` in 2-D and ``r`` in 3-D, where that is the biharmonic one.
    grid : Grid
        Of the fixed image.
    backend : Backend
        Where folds of a spline are looked for.

    Raises
    ------
    InputError
        When there are too few, they are in a line or a plane, or the spline folds.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid
    >>> from warpline.backends import select
    >>> from warpline.registration import Landmarks
    >>> from warpline.registration.landmarks import start_from
    >>> landmarks = Landmarks(np.eye(3), np.eye(3) + [0, 0, 2])
    >>> start_from(landmarks, "rigid", Grid((4, 4, 4), np.eye(4)), select("numpy")).matrix[:3, 3].round() + 0.0
    array([0., 0., 2.])
    """
    axes = _axes(grid)
    placed = landmarks.in_planes_of(grid, grid)
    _check_spread(placed, axes, axes if model in ("affine", "thin_plate") else axes - 1, model)
    return MODELS[model](placed, grid, backend)


def _thin_plate(landmarks: Landmarks, grid: Grid, backend: Backend) -> Chain:
    """A displacement, then the affine map fitted to the landmarks: together the spline through them."""
    from scipy.interpolate import RBFInterpolator

    axes = _axes(grid)
    kernel: Literal["thin_plate_spline", "linear"] = "thin_plate_spline" if grid.flat else "linear"
    affine = fit_affine(landmarks.fixed, landmarks.moving, axes)
    shifts = affine.inverse().map_points(landmarks.moving) - landmarks.fixed
    spline = RBFInterpolator(landmarks.fixed[:, :axes], shifts[:, :axes], kernel=kernel, degree=1)
    place = _spline_grid(grid)
    points = apply_affine(place.affine, np.moveaxis(np.indices(place.shape), 0, -1).reshape(-1, 3))
    field = np.zeros((3, *place.shape), np.float32)
    field[:axes] = spline(points[:, :axes]).T.reshape(axes, *place.shape)
    warp = Displacement(field, place)
    _refuse_folds(warp, landmarks, shifts, grid, backend)
    return Chain((warp, affine))


def _fitted(name: str) -> Callable[[Landmarks, Grid, Backend], Transform]:
    """An affine map fitted to landmarks."""
    return lambda landmarks, grid, backend: FITS[name](landmarks.fixed, landmarks.moving, _axes(grid), None)


MODELS: Mapping[str, Callable[[Landmarks, Grid, Backend], Transform]] = {
    **{name: _fitted(name) for name in FITS},
    "thin_plate": _thin_plate,
}
"""How a map is fitted, by the names recipes use."""


def _axes(grid: Grid) -> int:
    """Dimensions in which landmarks of an image on a grid are fitted."""
    return 2 if grid.flat else 3


def _spline_grid(grid: Grid) -> Grid:
    """A grid over the fixed image and a little more, coarser where it would have too many voxels."""
    margin = [int(np.ceil(_WIDER * n)) if n > 1 else 0 for n in grid.shape]
    stop = np.add(grid.shape, margin)
    wide = grid.cropped((-margin[0], -margin[1], -margin[2]), (int(stop[0]), int(stop[1]), int(stop[2])))
    thick = [axis for axis, n in enumerate(wide.shape) if n > 1]
    excess = (np.prod(wide.shape, dtype=float) / MOST_NODES) ** (1 / max(len(thick), 1))
    if excess <= 1:
        return wide
    fewer = [max(2, round(n / excess)) if axis in thick else n for axis, n in enumerate(wide.shape)]
    return wide.resized((fewer[0], fewer[1], fewer[2]))


def _refuse_folds(warp: Displacement, landmarks: Landmarks, shifts: Points, grid: Grid, backend: Backend) -> None:
    """Refuse a spline that folds within the fixed grid; names the two landmarks that change most on the least way."""
    least = backend.least_jacobian(backend.upload(to_voxels(warp.field, warp.grid)))
    folds = apply_affine(warp.grid.affine, np.argwhere(backend.download(least) <= 0))
    count = int(grid.contains(folds).sum())
    if not count:
        return
    ways, changes = (np.linalg.norm(side[:, None] - side, axis=-1) for side in (landmarks.fixed, shifts))
    one, other = np.unravel_index(np.argmax(changes / np.maximum(ways, 1e-12)), ways.shape)
    apart = np.linalg.norm(landmarks.moving[one] - landmarks.moving[other])
    raise InputError(
        f"the thin-plate spline through the landmarks folds at {count} places of the fixed image; landmarks "
        f"{landmarks.names[one]} and {landmarks.names[other]} disagree most, {ways[one, other]:.3g} mm apart in the "
        f"fixed image and {apart:.3g} mm in the moving one, or in another direction: correct them, or set "
        "initialise.landmarks=affine"
    )


def _check_spread(landmarks: Landmarks, axes: int, least: int, model: str) -> None:
    """Refuse landmarks that span fewer than `least` dimensions."""
    needed = least + 1
    if len(landmarks.fixed) < needed:
        raise InputError(
            f"{len(landmarks.fixed)} landmarks were given; initialise.landmarks={model} needs at least {needed} in "
            f"{axes}-D"
        )
    for side, points in (("fixed", landmarks.fixed), ("moving", landmarks.moving)):
        if not spans(points, least):
            place = "a plane" if least == 3 else "a line"
            other = "; or set initialise.landmarks=rigid" if least == 3 else ""
            raise InputError(
                f"the {side} landmarks lie in {place}, which leaves {model} open: add one beside it{other}"
            )


def _checked(points: Any, side: str) -> Points:
    try:
        checked = np.array(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{side} landmarks are no array of numbers; (N, 3), world RAS+ mm, is needed") from None
    if checked.ndim != 2 or checked.shape[1] != 3 or not len(checked):
        raise InputError(f"{side} landmarks have shape {checked.shape}; (N, 3), world RAS+ mm, is needed")
    if not np.isfinite(checked).all():
        raise InputError(f"{side} landmarks hold NaN or infinite coordinates; remove them in both images")
    checked.setflags(write=False)
    return checked


def _from_tables(fixed: str | os.PathLike[str], moving: str | os.PathLike[str], space: str) -> Landmarks:
    """Landmarks of two tables, joined by their names where both have some."""
    tables = read_point_table(fixed, space), read_point_table(moving, space)
    counts = [len(table.points) for table in tables]
    if counts[0] != counts[1]:
        raise InputError(f"{fixed} has {counts[0]} landmarks and {moving} {counts[1]}; one for one is needed")
    names, others = (table.names() for table in tables)
    if names is None and others is None:
        return Landmarks(tables[0].points, tables[1].points)
    if names is None or others is None:
        with_names, without = (moving, fixed) if names is None else (fixed, moving)
        raise InputError(f"{with_names} names its landmarks and {without} does not; give both names, or neither")
    missing = sorted(set(names) ^ set(others))
    if missing:
        where = fixed if missing[0] in others else moving
        raise InputError(f"{where} has no landmark {missing[0]!r}, which the other table has; names must be the same")
    order = [others.index(name) for name in names]
    return Landmarks(tables[0].points, tables[1].points[order], names)
