"""What pulls on the half-maps of a level beside the images: landmarks and surfaces."""

from __future__ import annotations

from typing import Protocol

from warpline.backends import Array, Backend
from warpline.recipe import Syn
from warpline.registration.cropping import CroppedPair
from warpline.registration.directions import Projection
from warpline.registration.landmark_forces import LandmarkForces
from warpline.registration.surface_forces import SurfaceForces
from warpline.space.grid import Grid, apply_affine


class Pull(Protocol):
    """Forces on points of both images that shall meet."""

    weight: float
    """Of the force on a miss of a voxel, in units of the largest force of the images."""

    def follow(self, half_maps: Array) -> None:
        """Find the points in the middle space under the half-maps (2, 3, I, J, K) of the start of a level."""

    def add_unit(self, forces: Array) -> None:
        """Add the forces (2, 3, I, J, K) of a miss of a voxel with a strength of 1."""

    def set_strength(self, strength: float) -> None:
        """Set what these are multiplied by from now on."""

    def add(self, half_maps: Array, forces: Array) -> None:
        """Add the forces under the half-maps, both (2, 3, I, J, K)."""

    def energy(self) -> float:
        """What the last forces lower, in units of the mean over voxels of the level."""

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
