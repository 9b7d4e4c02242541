"""How a volume may differ from the reference: small maps about a centre, and the derivatives of an image by them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array
from warpline.space.grid import Matrix

Vector = NDArray[np.float64]

Derivatives = Callable[[list[Array], list[Array]], list[Array]]
"""Of a gradient (3 arrays, per mm) and offsets from the centre (3 arrays, in units of the radius) to one array a
parameter."""

SmallMap = Callable[[Vector, float], Matrix]
"""Of parameters in mm and the radius to a matrix (4, 4) about the centre."""


def _rigid_derivatives(gradient: list[Array], offset: list[Array]) -> list[Array]:
    """Of translations, and of rotations: ``offset x gradient``."""
    (gx, gy, gz), (x, y, z) = gradient, offset
    return [*gradient, y * gz - z * gy, z * gx - x * gz, x * gy - y * gx]


def _affine_derivatives(gradient: list[Array], offset: list[Array]) -> list[Array]:
    """Of translations, and of the entries of the linear part by rows."""
    return [*gradient, *(slope * where for slope in gradient for where in offset)]


def _rigid(parameters: Vector, radius: float) -> Matrix:
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(parameters[3:] / radius).as_matrix()
    matrix[:3, 3] = parameters[:3]
    return matrix


def _affine(parameters: Vector, radius: float) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3] += parameters[3:].reshape(3, 3) / radius
    matrix[:3, 3] = parameters[:3]
    return matrix


FREEDOMS: dict[str, tuple[Derivatives, SmallMap]] = {
    "rigid": (_rigid_derivatives, _rigid),
    "affine": (_affine_derivatives, _affine),
}
"""Name to the derivatives of an image by the parameters, and the map of parameters; all parameters are in mm: of a
translation, or of what lies a radius from the centre."""


def about(centre: Vector, matrix: Matrix) -> Matrix:
    """The matrix (4, 4) that maps offsets from `centre` by `matrix`."""
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = centre, -centre
    moved: Matrix = there @ matrix @ back
    return moved
