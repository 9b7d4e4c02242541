"""Surfaces and curves of two images that shall come together, though nobody knows which points belong to each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError, UsageError
from warpline.io.points import read_point_table
from warpline.io.streamlines import read_streamlines, segments_of
from warpline.io.surfaces import read_surface, triangles_of
from warpline.registration.nearest_points import NearestPoints, far_beyond
from warpline.registration.planes import in_planes_of
from warpline.space import Affine, Transform
from warpline.space.grid import Grid

Points = NDArray[np.float64]
Indices = NDArray[np.int64]

WEIGHTS = (1e-3, 1e3)
"""Least and largest weight of a pair of surfaces."""

LEAST_FAR_MM = 2.0
"""Distance in mm of a head up to which no point of a result counts as far beyond the others."""

LARGE_DISTANCE = 5.0
"""Mean distance in mm of a head between surfaces after registration above which there is a warning."""

UNLIKE_EXTENTS = 3.0
"""Ratio of the extents of two surfaces from which on one of them may be in another unit."""

LEAST_MATCHED = 0.5
"""Share of points matched after registration below which there is a warning."""


@dataclass(frozen=True, eq=False)
class JoinedPoints:
    """Points of a surface or a curve, and how they are joined.

    Parameters
    ----------
    points : (N, 3) float64
        World, RAS+ mm, of its image.
    triangles : (M, 3) int64, optional
        Points that are joined to triangles, or with the second corner twice to lines; None for points alone.
    """

    points: Points
    triangles: Indices | None = None

    def through(self, transform: Transform) -> JoinedPoints:
        """The same with its points carried through a transform."""
        return replace(self, points=transform.map_points(self.points))


SurfaceSource = JoinedPoints | ArrayLike | str | os.PathLike[str] | tuple[ArrayLike, ArrayLike]
"""A file, points (N, 3) in RAS+ mm, or points and the triangles (M, 3) or segments (M, 2) that join them."""


@dataclass(frozen=True, eq=False)
class SurfacePair:
    """A surface or a curve of the fixed image and the same one of the moving image, sampled in any way.

    Parameters
    ----------
    fixed, moving : path, (N, 3) array, or pair of arrays
        Points in world RAS+ mm, each of its image: a table as `apply_points` reads it (``.csv``, ``.tsv``, ``.txt``),
        a GIFTI surface (``.gii``), streamlines (``.trk``, ``.tck``), an array, or an array and the triangles (M, 3) or
        segments (M, 2) between its points. They need not have equally many points.
    weight : float
        Of its pull beside that of other pairs, in units of ``syn.surface_weight``.
    reach : float, optional
        Distance in mm beyond which points do not pull on each other; None leaves out those that are far beyond the
        others.

    Raises
    ------
    UsageError
        When the weight is no number or out of range, or the reach is not above 0.

    Examples
    --------
    >>> from warpline import SurfacePair
    >>> SurfacePair("lh.a.surf.gii", "lh.b.surf.gii", reach=8.0).weight
    1.0
    """

    fixed: SurfaceSource
    moving: SurfaceSource
    weight: float = 1.0
    reach: float | None = None

    def __post_init__(self) -> None:
        low, high = WEIGHTS
        if not isinstance(self.weight, Real) or not low <= self.weight <= high:
            raise UsageError(f"weight {self.weight!r} of surfaces; between {low:g} and {high:g} is needed")
        if self.reach is not None and not (isinstance(self.reach, Real) and self.reach > 0):
            raise UsageError(f"reach {self.reach!r} of surfaces; a distance above 0 mm is needed")

    @property
    def paths(self) -> tuple[str, ...]:
        """Those of its sides that are files."""
        return tuple(os.fspath(side) for side in (self.fixed, self.moving) if isinstance(side, (str, os.PathLike)))

    def loaded(self, number: int, space: str) -> LoadedSurfaces:
        """Both sides, read and checked; messages call an array after its number, from 1 on.

        Raises
        ------
        InputError
            When a file cannot be read, or there are no points, or not in three finite coordinates each.
        """
        fixed = _load(self.fixed, f"fixed surface {number}", space)
        moving = _load(self.moving, f"moving surface {number}", space)
        return LoadedSurfaces(fixed, moving, self.weight, self.reach, self.paths)


@dataclass(frozen=True, eq=False)
class LoadedSurfaces:
    """A `SurfacePair` as the stages see it.

    Parameters
    ----------
    fixed, moving : JoinedPoints
        In the world of their images; from the deformable stage on both in the fixed one.
    weight, reach
        As of the pair.
    files : tuple of str
        That they were read from.
    """

    fixed: JoinedPoints
    moving: JoinedPoints
    weight: float = 1.0
    reach: float | None = None
    files: tuple[str, ...] = ()

    def in_planes_of(self, fixed: Grid, moving: Grid) -> LoadedSurfaces:
        """The same with those of 2-D images each at the height of its image; else itself."""
        placed = in_planes_of(fixed, moving, (self.fixed.points, self.moving.points))
        sides = (replace(side, points=points) for side, points in zip((self.fixed, self.moving), placed, strict=True))
        return replace(self, fixed=next(sides), moving=next(sides))

    def in_fixed_world(self, affine: Affine) -> LoadedSurfaces:
        """The same with the moving one carried back through an affine."""
        return replace(self, moving=self.moving.through(affine.inverse()))

    def limit(self, distances: Points, least: float) -> float:
        """Distance in mm up to which points are matched: the reach, or what is not far beyond the others."""
        return far_beyond(distances, least) if self.reach is None else self.reach

    def beyond(self, number: int, fixed: Grid, moving: Grid) -> tuple[str, ...]:
        """A sentence for points that do not lie in their image."""
        sides = (("fixed", fixed, self.fixed), ("moving", moving, self.moving))
        lost = ((name, int((~grid.contains(side.points)).sum()), len(side.points)) for name, grid, side in sides)
        return tuple(
            f"{count} of {total} points of {name} surface {number} lie outside the {name} image: are they of this "
            "image, and in RAS or LPS as said (--space)?"
            for name, count, total in lost
            if count
        )

    def unlike(self, number: int) -> tuple[str, ...]:
        """A sentence for surfaces of which one is many times as large as the other, as in another unit."""
        extents = [_extent(side.points) for side in (self.fixed, self.moving)]
        if not min(extents) or max(extents) < UNLIKE_EXTENTS * min(extents):
            return ()
        fixed, moving = extents
        return (
            f"fixed surface {number} is {fixed:.3g} mm long and moving surface {number} {moving:.3g} mm: are both in "
            "mm, neither in cm, m or voxels?",
        )

    def distances(self, transform: Transform) -> tuple[Points, Points]:
        """Distances in mm from the points of each to the nearest ones of the other, fixed ones first.

        Both in the moving world, where `transform` leads from the fixed one.
        """
        fixed = self.fixed.through(transform)
        there = NearestPoints(self.moving.points, self.moving.triangles).find(fixed.points).distances
        return there, NearestPoints(fixed.points, fixed.triangles).find(self.moving.points).distances


@dataclass(frozen=True)
class SurfaceDistance:
    """How far two surfaces are apart, in mm of the moving world.

    Parameters
    ----------
    mean : float
        Mean distance of the points of either to the nearest ones of the other, and of both directions.
    p95 : float
        95th percentile of these, of the worse direction.
    matched : float
        Share of all points that are within reach of the other, or not far beyond the others.
    """

    mean: float
    p95: float
    matched: float

    @classmethod
    def of(cls, surfaces: LoadedSurfaces, transform: Transform, unit: float) -> SurfaceDistance:
        """Under a transform, fixed world to moving world; `unit` is the length of a millimetre of a head in mm."""
        both = surfaces.distances(transform)
        together = np.concatenate(both)
        limit = surfaces.limit(together, LEAST_FAR_MM * unit)
        return cls(
            float(np.mean([one.mean() for one in both])),
            float(max(np.percentile(one, 95) for one in both)),
            float((together <= limit).mean()),
        )


@dataclass(frozen=True)
class SurfacePairErrors:
    """How far a pair of surfaces is apart.

    Parameters
    ----------
    files : tuple of str
        That they were read from; none for arrays.
    points : (int, int)
        How many the fixed and the moving one have.
    weight, reach
        As of the pair.
    start, result : SurfaceDistance
        Under the start and under the whole map.
    """

    files: tuple[str, ...]
    points: tuple[int, int]
    weight: float
    reach: float | None
    start: SurfaceDistance
    result: SurfaceDistance


@dataclass(frozen=True)
class SurfaceErrors:
    """How far surfaces of the two images are apart.

    Parameters
    ----------
    model : str or None
        The map that was fitted to their nearest points as a start; None where another start was taken.
    pairs : tuple of SurfacePairErrors
        In the order in which they were given.
    """

    model: str | None
    pairs: tuple[SurfacePairErrors, ...]

    @classmethod
    def of(
        cls,
        surfaces: Sequence[LoadedSurfaces],
        model: str | None,
        maps: tuple[Transform, Transform],
        unit: float,
    ) -> SurfaceErrors:
        """Under a start and under the whole map, both fixed world to moving world; `unit`: a head's mm in mm."""
        pairs = (
            SurfacePairErrors(
                pair.files,
                (len(pair.fixed.points), len(pair.moving.points)),
                pair.weight,
                pair.reach,
                *(SurfaceDistance.of(pair, transform, unit) for transform in maps),
            )
            for pair in surfaces
        )
        return cls(model, tuple(pairs))

    def as_report(self) -> dict[str, Any]:
        """As plain values for the report."""
        return asdict(self)

    def warnings(self, unit: float) -> tuple[str, ...]:
        """A sentence for every pair that ends far apart, or most of whose points do not pull."""
        return tuple(
            f"surfaces {number} end {pair.result.mean:.3g} mm apart on average ({pair.start.mean:.3g} mm at the start) "
            f"and {pair.result.matched:.0%} of their points are matched: are both of the same structure, each of its "
            "image, and in RAS or LPS as said (--space)?"
            for number, pair in enumerate(self.pairs, 1)
            if pair.result.mean > LARGE_DISTANCE * unit or pair.result.matched < LEAST_MATCHED
        )


def _load(source: SurfaceSource, name: str, space: str) -> JoinedPoints:
    if isinstance(source, JoinedPoints):
        points = _checked(source.points, name)
        return JoinedPoints(points, None if source.triangles is None else _joined(source.triangles, len(points), name))
    if isinstance(source, (str, os.PathLike)):
        suffix = Path(source).suffix.lower()
        if suffix not in READERS:
            raise UsageError(
                f"{os.fspath(source)} ends in none of {', '.join(READERS)}; name a table of points, streamlines or a "
                "GIFTI surface"
            )
        found = READERS[suffix](os.fspath(source), space)
        return JoinedPoints(_checked(found.points, os.fspath(source)), found.triangles)
    if isinstance(source, tuple) and len(source) == 2 and np.ndim(source[0]) == 2:
        points = _checked(source[0], name)
        return JoinedPoints(points, _joined(source[1], len(points), name))
    return JoinedPoints(_checked(source, name))


def _extent(points: Points) -> float:
    """The longest side in mm of the box around points (N, 3), but for the outermost hundredth at either end."""
    low, high = np.percentile(points, [1, 99], axis=0)
    return float((high - low).max())


def _checked(points: Any, name: str) -> Points:
    try:
        checked = np.array(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is no array of numbers; (N, 3), world RAS+ mm, is needed") from None
    if checked.ndim != 2 or checked.shape[1] != 3 or not len(checked):
        raise InputError(f"{name} has points of shape {checked.shape}; (N, 3), world RAS+ mm, is needed")
    if not np.isfinite(checked).all():
        raise InputError(f"{name} holds NaN or infinite coordinates; remove these points")
    return checked


def _joined(given: Any, count: int, name: str) -> Indices:
    """Triangles (M, 3) of those, or of segments (M, 2) with the second point twice."""
    joined = np.asarray(given)
    fits = joined.ndim == 2 and joined.shape[1] in (2, 3) and np.issubdtype(joined.dtype, np.integer)
    if not fits or (joined.size and not 0 <= joined.min() <= joined.max() < count):
        raise InputError(
            f"{name} has triangles of shape {joined.shape} and type {joined.dtype}; indices (M, 3), or of segments "
            f"(M, 2), below {count} are needed"
        )
    return joined[:, [0, 1, -1]].astype(np.int64)


def _read_table(path: str, space: str) -> JoinedPoints:
    return JoinedPoints(read_point_table(path, space).points)


def _read_gifti(path: str, space: str) -> JoinedPoints:
    surface = read_surface(path)
    return JoinedPoints(surface.points, triangles_of(surface, path))


def _read_streamlines(path: str, space: str) -> JoinedPoints:
    streamlines = read_streamlines(path)
    return JoinedPoints(streamlines.points, segments_of(streamlines)[:, [0, 1, 1]])


READERS: Mapping[str, Callable[[str, str], JoinedPoints]] = {
    ".csv": _read_table,
    ".tsv": _read_table,
    ".txt": _read_table,
    ".gii": _read_gifti,
    ".trk": _read_streamlines,
    ".tck": _read_streamlines,
}
"""How a name ends, to what reads such a file; the space counts for tables, the others have their own."""


def load_surfaces(pairs: SurfacePair | Sequence[SurfacePair], space: str) -> tuple[LoadedSurfaces, ...]:
    """All pairs, read and checked; `space` is the convention of tables, ``"ras"`` or ``"lps"``.

    Raises
    ------
    UsageError
        When these are no pairs, or a file is none of points.
    InputError
        As of `SurfacePair.loaded`.
    """
    listed = [pairs] if isinstance(pairs, SurfacePair) else pairs
    if not isinstance(listed, Sequence) or not all(isinstance(pair, SurfacePair) for pair in listed):
        raise UsageError("surfaces are no list of pairs; surfaces=[SurfacePair(fixed, moving)] is needed")
    return tuple(pair.loaded(number, space) for number, pair in enumerate(listed, 1))
