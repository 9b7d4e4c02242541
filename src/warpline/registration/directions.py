"""Directions along which points may move: all, or those of some axes, as distortions of echo-planar images ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.errors import UsageError
from warpline.recipe.syn import Directions
from warpline.space.grid import Grid, Matrix

_ROUNDING = 1e-9
"""Entries of a projection below this are 0: axes that are orthogonal but for rounding."""


def allowed_directions(directions: Directions, grid: Grid) -> NDArray[np.float64]:
    """The projection (3, 3) of world vectors onto the directions along which points of a grid may move.

    Parameters
    ----------
    directions : str or (3,) float
        Axes of the grid, such as ``"j"`` or ``"ij"``, or a direction in the world.

    Raises
    ------
    UsageError
        When they leave the plane of a single slice.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid
    >>> allowed_directions("j", Grid((4, 4, 4), np.eye(4))).tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    flat = [axis for axis, n in zip("ijk", grid.shape, strict=True) if n == 1]
    if isinstance(directions, str):
        vectors = grid.affine[:3, ["ijk".index(axis) for axis in directions]]
    else:
        vectors = np.array(directions, np.float64).reshape(3, 1)
    along = abs(grid.inverse_affine[:3, :3] @ vectors).max(axis=1)
    left = [axis for axis, part in zip("ijk", along, strict=True) if axis in flat and part > _ROUNDING * along.max()]
    if left:
        others = " or ".join(axis for axis in "ijk" if axis not in flat)
        raise UsageError(
            f"syn.directions = {directions!r} moves points along axis {left[0]} of the fixed image, which has one "
            f"voxel, shape {grid.shape}: choose {others}, or a direction in its plane"
        )
    basis, _ = np.linalg.qr(vectors)
    projection: NDArray[np.float64] = basis @ basis.T
    return projection


class Projection:
    """Projects vectors of a level, in its voxels, onto allowed directions.

    Parameters
    ----------
    allowed : (3, 3)
        Projection of world vectors.
    grid : Grid
        Of the level.
    backend : Backend
        Where its fields are.
    """

    def __init__(self, allowed: NDArray[np.float64], grid: Grid, backend: Backend) -> None:
        matrix = grid.inverse_affine[:3, :3] @ allowed @ grid.affine[:3, :3]
        rows: Matrix = np.where(abs(matrix) < _ROUNDING, 0.0, matrix)
        self._backend = backend
        self.matrix = rows
        """The projection (3, 3) of vectors in voxels of the grid."""
        self._used = [
            [(axis, backend.upload(np.array([w], np.float32))) for axis, w in enumerate(row) if w != 0] for row in rows
        ]

    def project(self, fields: Array, scratch: Array) -> None:
        """Project fields (S, 3, I, J, K) in place; works in `scratch` of the same shape."""
        for field, projected in zip(fields, scratch, strict=True):
            for used, component in zip(self._used, projected, strict=True):
                if not used:
                    component.fill(0)
                for n, (axis, weight) in enumerate(used):
                    self._backend.add_weighted(field[axis], weight, out=component, start=n == 0)
        fields[...] = scratch
