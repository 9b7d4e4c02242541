"""The initial affine: centres, headers, a lattice of rotations, and a search over rotations and translations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images.intensity import Normalised
from warpline.recipe import Initialise, Linear
from warpline.registration.affine_parameters import GENERATORS, AffineParameters, shared_plane
from warpline.registration.length_unit import LengthUnit, object_length
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import AffineObjective, affine_objective
from warpline.registration.pyramid import PyramidLevel, build_pyramid
from warpline.registration.translation_search import (
    MOST_VOXELS,
    SEARCH_SPACING,
    Edges,
    best_translations,
    even_rotations,
    search_shape,
)
from warpline.space import Affine
from warpline.space.grid import Matrix

SPACING = 8.0
"""Voxel size at which starts are compared, in mm of a head, see `LengthUnit`; finer ones have more local optima."""
SAMPLES = 4000
"""Points on which starts are compared: fewer rank them by chance, more take time for each rotation."""
ANGLE_STEP = np.pi / 6
"""Spacing of the cubic lattice of rotation vectors, in radians; wider, and no start may be near the optimum."""
LATTICE = range(-6, 7)
"""Steps of the lattice along an axis, to half a turn in both directions; fewer leave large rotations out."""
REFINED_STARTS = 8
"""Number of the best starts that are refined; the right one is not always first without; more take longer."""
START_ITERATIONS = 20
"""Most iterations of each refinement, enough to rank the starts, not to converge."""
RADIUS = 60.0
"""Scale of rotations in these refinements, in mm of a head per radian.

Far from the radius of the object, steps of rotations and of translations are of unlike effect."""
GAIN = 1.15
"""A refined start wins when its metric is this many times that of the plain start, refined alike.

Nearer to 1, nearly symmetric objects could be turned for a gain that is noise."""
UNLIKE_SIZE = 1.6
"""Ratio of the largest extents of two objects from which on their sizes are taken to differ; parts of one object reach
it where they are small, and are searched for at both sizes."""
FARTHEST_SIZE = 8.0
"""Ratio of these extents from which on only unlike sizes are searched for. A head is a seventh as long as a body;
smaller parts show too little of the whole to be found, and the grid of the search grows with the ratio."""


def _shift(shift: NDArray[np.float64]) -> Affine:
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return Affine(matrix)


STARTS: dict[str, Callable[[PyramidLevel, PyramidLevel], Affine]] = {
    "mass": lambda fixed, moving: _shift(moving.centre_of_mass - fixed.centre_of_mass),
    "centre": lambda fixed, moving: _shift(moving.grid.centre - fixed.grid.centre),
    "origin": lambda fixed, moving: _shift(moving.origin - fixed.origin),
    "identity": lambda fixed, moving: Affine.identity(),
}
"""Methods by the names recipes use."""


def initial_affine(fixed: Normalised, moving: Normalised, options: Initialise, *, backend: Backend) -> Affine:
    """The start of linear registration, fixed world to moving world.

    Parameters
    ----------
    fixed, moving : Normalised
        3-D; when both are one slice thick, rotations stay within the slice. Only voxels on their masks count.
    options : Initialise
        ``mass`` joins the centres of intensity above the minimum, ``centre`` the middles of the grids, ``origin``
        the centres of their first voxels; ``identity`` trusts the headers. With `rotations`, many rotations and the
        other methods are compared as well, by mutual information at 8 mm (of a head); the best few are refined, and
        one of them is returned when it clearly beats the plain start.
    backend : Backend
        Where starts are compared.
    """
    unit = LengthUnit.of(fixed)
    coarse = _CoarsePair.of(fixed, moving, unit, backend)
    start = STARTS[options.method](coarse.fixed, coarse.moving)
    if not options.rotations:
        return unit.to_mm(start)
    others = [STARTS[method](coarse.fixed, coarse.moving) for method in STARTS if method != options.method]
    rotated = start.matrix @ coarse.rotations()
    starts = np.concatenate([[affine.matrix for affine in (start, *others)], rotated])
    return unit.to_mm(_best(coarse, starts))


@dataclass(frozen=True, eq=False)
class _CoarsePair:
    """Two images on one coarse level, in the unit of a head, under which starts are compared and refined."""

    fixed: PyramidLevel
    moving: PyramidLevel
    plane: Matrix | None

    @classmethod
    def of(
        cls, fixed: Normalised, moving: Normalised, unit: LengthUnit, backend: Backend, scale: float = 1.0
    ) -> _CoarsePair:
        """The pair in a unit; `scale` is the size of the moving object over that of the fixed one."""
        sides = (fixed, SPACING), (moving, SPACING * scale)
        levels = [build_pyramid(unit.image(image, backend), (size,), backend)[0] for image, size in sides]
        return cls(levels[0], levels[1], shared_plane(fixed.grid, moving.grid))

    @property
    def centre(self) -> NDArray[np.float64]:
        """About which starts are rotated."""
        return self.fixed.centre_of_mass

    @cached_property
    def objective(self) -> AffineObjective:
        """By which starts are compared."""
        return affine_objective(self.fixed, self.moving, Linear(samples=SAMPLES))

    def rotations(self) -> NDArray[np.float64]:
        """Rotations (S, 4, 4) about the centre, on the lattice; within the plane of slices."""
        return _rotations_about(self.centre, _lattice() if self.plane is None else _lattice_in(self.plane))

    def refined(self, starts: NDArray[np.float64], freedom: str = "rigid") -> NDArray[np.float64]:
        """Starts (S, 4, 4) after a short search from each, rigid if not asked else."""
        parameters = AffineParameters.named(freedom, self.centre, RADIUS, self.plane)
        return MultiStartBfgs(self.objective, parameters, starts).run(START_ITERATIONS)


def _best(coarse: _CoarsePair, starts: NDArray[np.float64]) -> Affine:
    """The plain start, the first of (S, 4, 4), unless another one, refined, clearly beats it."""
    promising = 1 + np.argsort(coarse.objective.values(starts[1:]), kind="stable")[:REFINED_STARTS]
    refined = coarse.refined(starts[[0, *promising]])
    values = coarse.objective.values(refined)
    winner = int(np.argmin(values))
    return Affine(refined[winner] if values[winner] < GAIN * values[0] else starts[0])


@cache
def _lattice() -> NDArray[np.float64]:
    """Rotations (S, 3, 3) on a cubic lattice of rotation vectors within pi."""
    return _rotations(np.array(list(product(LATTICE, repeat=3))), np.eye(3))


def _lattice_in(plane: Matrix) -> NDArray[np.float64]:
    """Rotations (S, 3, 3) about the normal of a plane."""
    return _rotations(np.outer(LATTICE, (0, 0, 1)), plane.T)


def _rotations(steps: NDArray[np.int64], frame: Matrix) -> NDArray[np.float64]:
    """Rotations (S, 3, 3) at lattice points (N, 3), in steps along the rows of a frame; neither 0 nor above pi."""
    lengths = np.linalg.norm(steps, axis=1)
    inside = (lengths > 0) & (lengths <= LATTICE[-1])
    vectors = ANGLE_STEP * steps[inside] @ frame
    angles = ANGLE_STEP * lengths[inside, None, None]
    cross = np.tensordot(vectors, GENERATORS, 1)
    # Rodrigues: R = I + sin(a)/a [v] + (1 - cos(a))/a^2 [v]^2; `rotations` takes longer, for its derivatives
    return np.asarray(np.eye(3) + np.sin(angles) / angles * cross + (1 - np.cos(angles)) / angles**2 * cross @ cross)


def _rotations_about(middle: NDArray[np.float64], rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (S, 3, 3) about a point, as maps (S, 4, 4)."""
    matrices = np.tile(np.eye(4), (len(rotations), 1, 1))
    matrices[:, :3, :3] = rotations
    matrices[:, :3, 3] = middle - rotations @ middle
    return matrices


def promising_starts(fixed: Normalised, moving: Normalised, count: int, *, backend: Backend) -> list[Affine]:
    """The best of many rotations about all pairs of centres, each refined a little, no two of them alike.

    As in `initial_affine`, lengths are those of a head. None of them is right where centres mislead, see
    `searched_starts`.

    Parameters
    ----------
    fixed, moving : Normalised
        As for `initial_affine`.
    count : int
        At most so many are returned, the best first.
    backend : Backend
        Where they are compared.
    """
    unit = LengthUnit.of(fixed)
    coarse = _CoarsePair.of(fixed, moving, unit, backend)
    rotations = np.concatenate([np.eye(4)[None], coarse.rotations()])
    plain = np.stack([start(coarse.fixed, coarse.moving).matrix for start in STARTS.values()])
    starts = np.concatenate([matrix @ rotations for matrix in plain])
    ranked = starts[np.argsort(coarse.objective.values(starts), kind="stable")]
    refined = coarse.refined(ranked[_distinct(ranked, coarse.centre, 4 * count)])
    ranked = refined[np.argsort(coarse.objective.values(refined), kind="stable")]
    return [unit.to_mm(Affine(matrix)) for matrix in ranked[_distinct(ranked, coarse.centre, count)]]


def searched_starts(fixed: Normalised, moving: Normalised, count: int, *, backend: Backend) -> list[Affine]:
    """Starts that need no centres: the best translations of many rotations, see `best_translations`, refined a little.

    They find partial views, and objects beside which there is something else. Where the objects are of unlike size,
    as those of two species, that scale is tried as well. None for a slice beside a volume.

    Parameters
    ----------
    fixed, moving, backend
        As for `initial_affine`.
    count : int
        At most so many are returned, the best first; those of unlike size after the others.
    """
    if (min(fixed.grid.shape) == 1) != (min(moving.grid.shape) == 1):
        return []
    unit = LengthUnit.of(fixed)
    images = unit.image(fixed, backend), unit.image(moving, backend)
    found = [_searched(*images, scale, count, backend) for scale in _scales(fixed, moving)]
    return [unit.to_mm(Affine(matrix)) for matrix in np.concatenate(found)]


def _searched(fixed: Normalised, moving: Normalised, scale: float, count: int, backend: Backend) -> NDArray[np.float64]:
    """The best starts (S, 4, 4) at one scale."""
    coarse = _CoarsePair.of(fixed, moving, LengthUnit(1.0), backend, scale)
    still, moved = _edges(fixed, moving, scale, coarse.plane, backend)
    within = None if coarse.plane is None else np.concatenate([np.eye(3)[None], _lattice_in(coarse.plane)])
    rotations = even_rotations() if within is None else within
    maps, scores = best_translations(still, moved, rotations, coarse.plane)
    ranked = maps[np.argsort(-scores, kind="stable")]
    return coarse.refined(ranked[_distinct(ranked, coarse.centre, count)], "rigid" if scale == 1.0 else "similarity")


def _edges(
    fixed: Normalised, moving: Normalised, scale: float, plane: Matrix | None, backend: Backend
) -> tuple[Edges, Edges]:
    """What is correlated at one scale; in coarser voxels where the search would take too many."""

    def at(spacing: float) -> tuple[Edges, Edges]:
        sides = (fixed, spacing), (moving, spacing * scale)
        first, second = (Edges.of(image, build_pyramid(image, (size,), backend)[0], size) for image, size in sides)
        return first, second

    found = at(SEARCH_SPACING)
    count = prod(search_shape(*found, plane))
    if count <= MOST_VOXELS:
        return found
    return at(SEARCH_SPACING * (count / MOST_VOXELS) ** (1 / 3 if plane is None else 1 / 2))


def _scales(fixed: Normalised, moving: Normalised) -> tuple[float, ...]:
    """Sizes of the moving object over the fixed one: as the headers say, and as their largest extents do."""
    ratio = object_length(moving) / object_length(fixed)
    unlike = max(ratio, 1 / ratio)
    if unlike > FARTHEST_SIZE:
        return (ratio,)
    return (1.0,) if unlike < UNLIKE_SIZE else (1.0, ratio)


def distinct_starts(starts: Sequence[Affine], fixed: Normalised, count: int) -> list[int]:
    """Numbers of the first `count` starts that differ from those before by a step of the lattice, or as far."""
    unit = LengthUnit.of(fixed)
    matrices = np.stack([unit.from_mm(start).matrix for start in starts])
    return _distinct(matrices, fixed.grid.centre / unit.mm, count)


def _distinct(matrices: NDArray[np.float64], middle: NDArray[np.float64], count: int) -> list[int]:
    """Numbers of the first `count` of some maps (S, 4, 4) that differ from those before by a step of the lattice."""
    chosen: list[int] = []
    for number, matrix in enumerate(matrices):
        if len(chosen) < count and not any(_is_close(matrix, matrices[other], middle) for other in chosen):
            chosen.append(number)
    return chosen


def _is_close(first: NDArray[np.float64], second: NDArray[np.float64], middle: NDArray[np.float64]) -> bool:
    cosine = (np.trace(first[:3, :3].T @ second[:3, :3]) - 1) / 2
    distance = np.linalg.norm((first - second)[:3] @ np.append(middle, 1.0))
    return bool(cosine > np.cos(0.9 * ANGLE_STEP) and distance < 2 * SPACING)
