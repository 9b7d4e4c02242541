"""The initial affine: centres, headers, and a search over a lattice of rotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.images.intensity import Normalised
from warpline.recipe import Initialise, Linear
from warpline.registration.affine_parameters import GENERATORS, AffineParameters, shared_plane
from warpline.registration.length_unit import LengthUnit
from warpline.registration.multi_start import MultiStartBfgs
from warpline.registration.objective import AffineObjective, affine_objective
from warpline.registration.pyramid import PyramidLevel, build_pyramid
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
    def of(cls, fixed: Normalised, moving: Normalised, unit: LengthUnit, backend: Backend) -> _CoarsePair:
        levels = [build_pyramid(unit.image(image, backend), (SPACING,), backend)[0] for image in (fixed, moving)]
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

    def refined(self, starts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Starts (S, 4, 4) after a short rigid search from each."""
        parameters = AffineParameters.named("rigid", self.centre, RADIUS, self.plane)
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

    As in `initial_affine`, lengths are those of a head.

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
    refined = coarse.refined(_distinct(ranked, coarse.centre, 4 * count))
    ranked = refined[np.argsort(coarse.objective.values(refined), kind="stable")]
    return [unit.to_mm(Affine(matrix)) for matrix in _distinct(ranked, coarse.centre, count)]


def _distinct(matrices: NDArray[np.float64], middle: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The first `count` of some maps (S, 4, 4) that differ from those before by a step of the lattice, or as far."""
    chosen: list[NDArray[np.float64]] = []
    for matrix in matrices:
        if len(chosen) < count and not any(_is_close(matrix, other, middle) for other in chosen):
            chosen.append(matrix)
    return np.stack(chosen)


def _is_close(first: NDArray[np.float64], second: NDArray[np.float64], middle: NDArray[np.float64]) -> bool:
    cosine = (np.trace(first[:3, :3].T @ second[:3, :3]) - 1) / 2
    distance = np.linalg.norm((first - second)[:3] @ np.append(middle, 1.0))
    return bool(cosine > np.cos(0.9 * ANGLE_STEP) and distance < 2 * SPACING)
