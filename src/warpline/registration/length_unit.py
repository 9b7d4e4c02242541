"""The unit of length of linear registration, so that a mouse, a head and a whole body are all registered alike.

Levels, starts and steps of the linear stage are lengths that suit a human head in millimetres. Any other object is
measured in another unit, in which it is about as large as a head. Units are powers of two of a millimetre: dividing by
one loses no bit, and an image whose header is scaled by a power of two gives the same map, to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from warpline.backends import Backend
from warpline.images.intensity import Normalised
from warpline.recipe.linear import HEAD_SPACINGS
from warpline.space import Affine
from warpline.space.grid import Grid, Matrix

HEAD_RADII = (28.0, 160.0)
"""Radii of a head, or a large part of one, in mm: the unit is 1 mm then. A brain has 75, a newborn's 45, a slice of a
brain 55, a field of view of 256 mm a side 128. Outside of them, the unit brings the radius to about `HEAD_RADIUS`."""
HEAD_RADIUS = 75.0
"""Radius of other objects in their unit, up to a factor of the square root of 2."""


@dataclass(frozen=True)
class LengthUnit:
    """The unit of length of linear registration.

    Parameters
    ----------
    mm : float
        Its length; a power of two.
    """

    mm: float

    @classmethod
    def of(cls, image: Normalised) -> LengthUnit:
        """The unit in which the object of an image is as large as a head; its mask does not matter."""
        radius = _radius(image)
        if HEAD_RADII[0] <= radius <= HEAD_RADII[1]:
            return cls(1.0)
        return cls(2.0 ** round(math.log2(radius / HEAD_RADIUS)))

    def spacings(self, mm: tuple[float, ...] | None) -> tuple[float, ...]:
        """Spacings of levels in this unit, from those of a recipe; None takes what suits a head."""
        return HEAD_SPACINGS if mm is None else tuple(length / self.mm for length in mm)

    def image(self, image: Normalised, backend: Backend) -> Normalised:
        """The image on its grid in this unit; that of a shared image is shared."""
        if self.mm == 1.0:
            return image
        grid = Grid(image.grid.shape, self._rescale(image.grid.affine, slice(0, 4), 1 / self.mm))
        scaled = backend.cache.get(image, ("unit", self.mm), lambda: replace(image, grid=grid))
        if backend.cache.is_shared(image):
            backend.cache.share(scaled)
        return scaled

    def from_mm(self, affine: Affine) -> Affine:
        """A map of world mm as a map of world points in this unit."""
        return Affine(self._rescale(affine.matrix, slice(3, 4), 1 / self.mm))

    def to_mm(self, affine: Affine) -> Affine:
        """A map of world points in this unit as a map of world mm."""
        return Affine(self._rescale(affine.matrix, slice(3, 4), self.mm))

    @staticmethod
    def _rescale(matrix: Matrix, columns: slice, factor: float) -> Matrix:
        """A (4, 4) matrix with some columns of its upper rows multiplied."""
        scaled = np.array(matrix)
        scaled[:3, columns] *= factor
        return scaled


def object_length(image: Normalised) -> float:
    """Longest side of the box around the foreground, in mm; the thickness of a slice does not count."""
    lengths = np.subtract(image.stop, image.start) * image.grid.voxel_size
    thick = np.array(image.grid.shape) > 1
    return float(lengths[thick].max() if thick.any() else lengths.max())


def _radius(image: Normalised) -> float:
    """Root mean square distance of the box around the foreground from its middle, in mm."""
    lengths = np.subtract(image.stop, image.start) * image.grid.voxel_size
    thick = np.array(image.grid.shape) > 1
    return float(np.sqrt(np.square(lengths[thick]).sum() / 12)) if thick.any() else HEAD_RADIUS
