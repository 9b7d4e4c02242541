"""What pulls on the half-maps of a level beside the images: landmarks and surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.recipe import Syn
from warpline.registration.cropping import CroppedPair
from warpline.registration.directions import Projection
from warpline.registration.landmark_forces import LandmarkForces, held_inside
from warpline.registration.surface_forces import SurfaceForces
from warpline.space.grid import Grid, apply_affine

Points = NDArray[np.float64]

LEAST_OF_APART = 0.5
"""Share of the force of images a voxel further apart that points pull by at least, where images fit already."""


@dataclass(frozen=True)
class PullScale:
    """What points that miss by a voxel of the level are worth beside the images.

    Parameters
    ----------
    force : float
        The longest smoothed force of the images at the start of the level; where they fit already and have none, what
        would resist a pull: a share of the force that they have a voxel further apart.
    energy : float
        How much their energy differs when they are a voxel further apart.
    """

    force: float
    energy: float

    @classmethod
    def of(cls, lengths: Sequence[float], energies: Sequence[float]) -> PullScale:
        """From the longest force and the energy at the start, and a voxel further apart."""
        return cls(max(lengths[0], LEAST_OF_APART * lengths[1]), abs(energies[1] - energies[0]))


class Pull(Protocol):
    """Forces on points of both images that shall meet."""

    def follow(self, half_maps: Array) -> None:
        """Find the points in the middle space under the half-maps (2, 3, I, J, K) of the start of a level."""

    def add_unit(self, forces: Array) -> None:
        """Add the forces (2, 3, I, J, K) of a miss of a voxel with a strength of 1."""

    def scale(self, force: float, energy: float) -> None:
        """Set what a miss of a voxel is worth, for a weight of 1."""

    def add(self, half_maps: Array, forces: Array) -> None:
        """Add the forces under the half-maps, both (2, 3, I, J, K)."""

    def energy(self) -> float:
        """What the last forces lower: a mean over points, whatever their number and that of the voxels."""

    def distance(self) -> float:
        """Root mean square distance of the points in mm, as of the last forces."""


def pulls_of(
    pair: CroppedPair, grid: Grid, options: Syn, backend: Backend, projection: Projection | None = None
) -> tuple[Pull, ...]:
    """The pulls of a pair at a level: that of landmarks first, then one for every pair of surfaces.

    Parameters
    ----------
    grid : Grid
        Of the level.
    projection : Projection, optional
        Onto the directions along which points may move.
    """
    allowed = None if projection is None else projection.matrix
    pulls: list[Pull] = []
    if pair.landmarks is not None and options.landmark_weight:
        places = apply_affine(grid.inverse_affine, pair.landmarks)
        pulls.append(LandmarkForces(places, grid, backend, weight=options.landmark_weight, allowed=allowed))
    if options.surface_weight:
        weights = [options.surface_weight * surfaces.weight for surfaces in pair.surfaces]
        pulls += [
            SurfaceForces(surfaces, grid, backend, weight=weight, allowed=allowed)
            for surfaces, weight in zip(pair.surfaces, weights, strict=True)
        ]
    return tuple(pulls)


def outside_notes(pair: CroppedPair, options: Syn) -> tuple[str, ...]:
    """A sentence for the landmarks, and for every pair of surfaces, some of which lie outside what is registered."""
    known: list[tuple[str, Sequence[Points]]] = []
    if pair.landmarks is not None and options.landmark_weight:
        known.append(("landmarks", [pair.landmarks[0], pair.landmarks[1]]))
    if options.surface_weight:
        pairs = enumerate(pair.surfaces, 1)
        known += [(f"surfaces {number}", [both.fixed.points, both.moving.points]) for number, both in pairs]
    counts = ((name, _outside(np.concatenate(sides), pair.grid), sum(map(len, sides))) for name, sides in known)
    return tuple(
        f"{count} of {total} points of {name} lie outside what the images show, and do not pull: are they of these "
        "images, and do masks or images end before them?"
        for name, count, total in counts
        if count
    )


def _outside(points: Points, grid: Grid) -> int:
    """How many points (N, 3) lie outside a grid."""
    return int((~held_inside(apply_affine(grid.inverse_affine, points), grid.shape)[1]).sum())
