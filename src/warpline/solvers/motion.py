"""Motions of world space with few parameters, and their analytic derivatives.

A motion acts about a centre c, in an orthonormal frame Q: ``x -> c + Q (L(p) Q^T (x - c) + t(p))``. All parameters are
in mm: angles, log scales and matrix entries are multiplied by a radius, so that one unit of any of them moves the
surface of the imaged object by about a millimetre.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.geometry import Grid, Matrix

Vector = NDArray[np.float64]
Linear = Callable[[Vector], tuple[Matrix, NDArray[np.float64]]]
"""Parameters (P,) to the linear part L (3, 3) and its derivatives (P, 3, 3)."""

GENERATORS = np.zeros((3, 3, 3))
"""``GENERATORS[k] x = e_k cross x``."""
for _k, (_i, _j) in enumerate(((1, 2), (2, 0), (0, 1))):
    GENERATORS[_k, _j, _i], GENERATORS[_k, _i, _j] = 1.0, -1.0
_FLAT = GENERATORS.reshape(3, 9)


def rotation(vector: Vector) -> tuple[Matrix, NDArray[np.float64]]:
    """Rotation matrix (3, 3) of a rotation vector (3,) in radians, and its derivatives (3, 3, 3).

    Derivatives after Gallego and Yezzi 2015, doi:10.1007/s10851-014-0528-x:
    ``dR/dv_k = (v_k [v] + [v x (I - R) e_k]) R / |v|^2``.
    """
    angle = math.sqrt(vector @ vector)
    cross = _crossed(vector)
    if angle < 1e-7:
        matrix = np.eye(3) + cross
        return matrix, GENERATORS @ matrix
    matrix = np.eye(3) + math.sin(angle) / angle * cross + (1 - math.cos(angle)) / angle**2 * (cross @ cross)
    turned = _crossed((cross @ (np.eye(3) - matrix)).T)
    return matrix, (vector[:, None, None] * cross + turned) @ (matrix / angle**2)


def _crossed(vectors: Vector) -> NDArray[np.float64]:
    """Matrices (..., 3, 3) that multiply as cross products with vectors (..., 3) do."""
    return (vectors @ _FLAT).reshape(*vectors.shape, 3)


def _unmoved(_: Vector) -> tuple[Matrix, NDArray[np.float64]]:
    return np.eye(3), np.zeros((0, 3, 3))


def _similar(parameters: Vector) -> tuple[Matrix, NDArray[np.float64]]:
    turned, slopes = rotation(parameters[:3])
    scale = np.exp(parameters[3])
    return scale * turned, scale * np.concatenate([slopes, turned[None]])


def _free(parameters: Vector) -> tuple[Matrix, NDArray[np.float64]]:
    return np.eye(3) + parameters.reshape(3, 3), np.eye(9).reshape(9, 3, 3)


def _similar_in_plane(parameters: Vector) -> tuple[Matrix, NDArray[np.float64]]:
    turned, slopes = rotation(np.array([0.0, 0.0, parameters[0]]))
    in_plane = np.diag([1.0, 1.0, 0.0])
    scale = np.exp(parameters[1])
    stretch = np.diag([scale, scale, 1.0])
    return stretch @ turned, np.stack([stretch @ slopes[2], scale * in_plane @ turned])


def _turned_in_plane(parameters: Vector) -> tuple[Matrix, NDArray[np.float64]]:
    turned, slopes = rotation(np.array([0.0, 0.0, parameters[0]]))
    return turned, slopes[2:]


def _free_in_plane(parameters: Vector) -> tuple[Matrix, NDArray[np.float64]]:
    matrix, slopes = np.eye(3), np.zeros((4, 3, 3))
    matrix[:2, :2] += parameters.reshape(2, 2)
    slopes[:, :2, :2] = np.eye(4).reshape(4, 2, 2)
    return matrix, slopes


SPATIAL: dict[str, tuple[int, Linear]] = {
    "translation": (0, _unmoved),
    "rigid": (3, rotation),
    "similarity": (4, _similar),
    "affine": (9, _free),
}
"""Motion to the number of parameters of its linear part, and that part."""

PLANAR: dict[str, tuple[int, Linear]] = {
    "translation": (0, _unmoved),
    "rigid": (1, _turned_in_plane),
    "similarity": (2, _similar_in_plane),
    "affine": (4, _free_in_plane),
}
"""The same for motions within the plane of the first two axes of the frame."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A family of motions: translation (3 parameters), rigid (6), similarity (7), affine (12); in a plane 2, 3, 4, 6.

    Parameters
    ----------
    linear_size : int
        Parameters of the linear part; they come first, then the translation.
    linear : callable
        The linear part, see `Linear`.
    centre : (3,)
        Fixed point of the linear part, world mm.
    radius : float
        Millimetres per unit of a linear parameter.
    frame : (3, 3)
        Orthonormal axes as columns.
    planar : bool
        Whether only the first two axes of the frame are moved along.
    """

    linear_size: int
    linear: Linear
    centre: Vector
    radius: float
    frame: Matrix
    planar: bool = False

    @classmethod
    def named(cls, name: str, centre: Vector, radius: float, plane: Matrix | None = None) -> Motion:
        """The motion called `name`; with `plane`, a frame whose third axis is normal to it, within that plane only."""
        if plane is None:
            return cls(*SPATIAL[name], centre, radius, np.eye(3))
        return cls(*PLANAR[name], centre, radius, plane, planar=True)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.linear_size + (2 if self.planar else 3)

    def matrix(self, parameters: Vector) -> tuple[Matrix, NDArray[np.float64]]:
        """World to world matrix (4, 4) of parameters (size,) in mm, and its derivatives (size, 4, 4)."""
        linear, slopes = self.linear(parameters[: self.linear_size] / self.radius)
        shift = np.zeros(3)
        shift[: self.size - self.linear_size] = parameters[self.linear_size :]
        matrix = np.eye(4)
        matrix[:3, :3] = self.frame @ linear @ self.frame.T
        matrix[:3, 3] = self.centre - matrix[:3, :3] @ self.centre + self.frame @ shift
        derivatives = np.zeros((self.size, 4, 4))
        derivatives[: self.linear_size, :3, :3] = self.frame @ (slopes / self.radius) @ self.frame.T
        derivatives[:, :3, 3] = -derivatives[:, :3, :3] @ self.centre
        derivatives[self.linear_size :, :3, 3] = self.frame.T[: self.size - self.linear_size]
        return matrix, derivatives


def slice_frame(grid: Grid) -> Matrix | None:
    """Orthonormal frame (3, 3) of a grid one voxel thick, its third axis normal to the slice; None for a volume."""
    thin = [axis for axis, voxels in enumerate(grid.shape) if voxels == 1]
    if len(thin) != 1:
        return None
    first, second = np.delete(grid.affine[:3, :3], thin[0], axis=1).T
    normal = np.cross(first, second)
    frame = np.stack([first / np.linalg.norm(first), np.cross(normal, first), normal], axis=1)
    return np.asarray(frame / np.linalg.norm(frame, axis=0))
