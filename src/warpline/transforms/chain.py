"""Ordered compositions of transforms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.transforms.affine import Affine
from warpline.transforms.displacement import Displacement

Part = Affine | Displacement


@dataclass(frozen=True, eq=False)
class Chain:
    """Transforms applied one after the other.

    Parameters
    ----------
    parts : tuple of Affine or Displacement
        In the order in which points go through them: ``parts[0]`` first. Maps fixed world points to
        moving world points; ``Chain((warp, affine))`` is ``y = A(x + u(x))``.
    """

    parts: tuple[Part, ...] = ()

    def map_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map world points (..., 3) in mm through every part."""
        mapped = np.asarray(points, dtype=np.float64)
        for part in self.parts:
            mapped = part.map_points(mapped)
        return mapped

    def inverse(self) -> Chain:
        """The chain of the inverse parts in reverse order."""
        return Chain(tuple(part.inverse() for part in reversed(self.parts)))
