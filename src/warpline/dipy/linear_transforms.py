"""DIPY's families of affine transforms: parameters to matrices, with derivatives."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import UsageError
from warpline.recipe.linear import TransformModel
from warpline.space.grid import Matrix

Parameters = NDArray[np.float64]

_STEP = 1e-30
"""Complex step of the derivatives; they are exact to rounding, since every matrix is analytic in its parameters."""


class Transform:
    """A family of affine maps of 2-D or 3-D world space.

    Parameters are those of DIPY, in the order angles, translation, scales: angles in radians about the world
    origin (3-D: ``Rz Rx Ry``), translation in mm, scales multiplied onto the rows of the rotation.

    Examples
    --------
    >>> from warpline.dipy import RigidTransform2D
    >>> RigidTransform2D().param_to_matrix([0, 5, -2])
    array([[ 1., -0.,  5.],
           [ 0.,  1., -2.],
           [ 0.,  0.,  1.]])
    """

    dim: ClassVar[int]
    model: ClassVar[TransformModel]
    """The corresponding stage of `warpline.recipe.Linear`."""
    _angles: ClassVar[int] = 0
    _shifts: ClassVar[int] = 0
    _scales: ClassVar[int] = 0

    def get_dim(self) -> int:
        """Return 2 or 3."""
        return self.dim

    def get_number_of_parameters(self) -> int:
        """Return how many parameters the family has."""
        return self._angles + self._shifts + self._scales

    def get_identity_parameters(self) -> Parameters:
        """Return the parameters (n,) of the map that moves nothing."""
        return np.repeat((0.0, 1.0), (self._angles + self._shifts, self._scales))

    def param_to_matrix(self, theta: ArrayLike) -> Matrix:
        """Return the matrix (dim + 1, dim + 1) of parameters (n,)."""
        return self._matrix(self._check_parameters(theta)).real

    def jacobian(self, theta: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
        """Return the derivative (dim, n) of the mapped point ``T(x)`` by the parameters (n,), x in mm."""
        point = np.append(np.asarray(x, dtype=np.float64), 1.0)
        moved: NDArray[np.float64] = self.matrix_derivatives(theta) @ point
        return moved[:, :-1].T

    def matrix_derivatives(self, theta: ArrayLike) -> NDArray[np.float64]:
        """Return the derivatives (n, dim + 1, dim + 1) of the matrix by the parameters (n,)."""
        parameters = self._check_parameters(theta).astype(complex)
        steps = parameters + 1j * _STEP * np.eye(len(parameters))
        return np.stack([self._matrix(one).imag / _STEP for one in steps])

    def _check_parameters(self, theta: ArrayLike) -> Parameters:
        parameters = np.asarray(theta, dtype=np.float64)
        if parameters.shape != (self.get_number_of_parameters(),):
            count = self.get_number_of_parameters()
            raise UsageError(f"{type(self).__name__} got parameters of shape {parameters.shape}; ({count},) is needed")
        return parameters

    def _matrix(self, theta: NDArray[np.number]) -> NDArray[np.complex128]:
        angles, shifts, scales = np.split(theta, np.cumsum((self._angles, self._shifts)))
        matrix = np.eye(self.dim + 1, dtype=complex)
        if self._angles:
            matrix[:-1, :-1] = _rotation(angles)
        if self._scales:
            matrix[:-1, :-1] *= np.broadcast_to(scales, self.dim)[:, None]
        if self._shifts:
            matrix[:-1, -1] = shifts
        return matrix


def _rotation(angles: NDArray[np.number]) -> NDArray[np.complex128]:
    if len(angles) == 1:
        return _turn(angles[0], (0, 1), 2)
    x, y, z = angles
    return _turn(z, (0, 1), 3) @ _turn(x, (1, 2), 3) @ _turn(y, (2, 0), 3)


def _turn(angle: np.number, plane: tuple[int, int], dim: int) -> NDArray[np.complex128]:
    matrix = np.eye(dim, dtype=complex)
    matrix[np.ix_(plane, plane)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


class _Affine(Transform):
    def get_number_of_parameters(self) -> int:
        return self.dim * (self.dim + 1)

    def get_identity_parameters(self) -> Parameters:
        return np.eye(self.dim, self.dim + 1).ravel()

    def _matrix(self, theta: NDArray[np.number]) -> NDArray[np.complex128]:
        matrix = np.eye(self.dim + 1, dtype=complex)
        matrix[:-1] = theta.reshape(self.dim, self.dim + 1)
        return matrix


class TranslationTransform2D(Transform):
    """Translations (tx, ty)."""

    dim, model, _shifts = 2, "translation", 2


class TranslationTransform3D(Transform):
    """Translations (tx, ty, tz)."""

    dim, model, _shifts = 3, "translation", 3


class RotationTransform2D(Transform):
    """Rotations (angle)."""

    dim, model, _angles = 2, "rotation", 1


class RotationTransform3D(Transform):
    """Rotations (rx, ry, rz)."""

    dim, model, _angles = 3, "rotation", 3


class ScalingTransform2D(Transform):
    """Isotropic scalings (s)."""

    dim, model, _scales = 2, "scaling", 1


class ScalingTransform3D(Transform):
    """Isotropic scalings (s)."""

    dim, model, _scales = 3, "scaling", 1


class RigidTransform2D(Transform):
    """Rotation and translation (angle, tx, ty)."""

    dim, model, _angles, _shifts = 2, "rigid", 1, 2


class RigidTransform3D(Transform):
    """Rotation and translation (rx, ry, rz, tx, ty, tz)."""

    dim, model, _angles, _shifts = 3, "rigid", 3, 3


class RigidIsoScalingTransform2D(Transform):
    """Rotation, translation and one scale (angle, tx, ty, s)."""

    dim, model, _angles, _shifts, _scales = 2, "similarity", 1, 2, 1


class RigidIsoScalingTransform3D(Transform):
    """Rotation, translation and one scale (rx, ry, rz, tx, ty, tz, s)."""

    dim, model, _angles, _shifts, _scales = 3, "similarity", 3, 3, 1


class RigidScalingTransform2D(Transform):
    """Rotation, translation and a scale per axis (angle, tx, ty, sx, sy)."""

    dim, model, _angles, _shifts, _scales = 2, "rigid_scaling", 1, 2, 2


class RigidScalingTransform3D(Transform):
    """Rotation, translation and a scale per axis (rx, ry, rz, tx, ty, tz, sx, sy, sz)."""

    dim, model, _angles, _shifts, _scales = 3, "rigid_scaling", 3, 3, 3


class AffineTransform2D(_Affine):
    """All affine maps, the upper 2 x 3 of the matrix row by row."""

    dim, model = 2, "affine"


class AffineTransform3D(_Affine):
    """All affine maps, the upper 3 x 4 of the matrix row by row."""

    dim, model = 3, "affine"


regtransforms: dict[tuple[str, int], Transform] = {
    ("TRANSLATION", 2): TranslationTransform2D(),
    ("TRANSLATION", 3): TranslationTransform3D(),
    ("ROTATION", 2): RotationTransform2D(),
    ("ROTATION", 3): RotationTransform3D(),
    ("RIGID", 2): RigidTransform2D(),
    ("RIGID", 3): RigidTransform3D(),
    ("SCALING", 2): ScalingTransform2D(),
    ("SCALING", 3): ScalingTransform3D(),
    ("AFFINE", 2): AffineTransform2D(),
    ("AFFINE", 3): AffineTransform3D(),
    ("RIGIDSCALING", 2): RigidScalingTransform2D(),
    ("RIGIDSCALING", 3): RigidScalingTransform3D(),
    ("RIGIDISOSCALING", 2): RigidIsoScalingTransform2D(),
    ("RIGIDISOSCALING", 3): RigidIsoScalingTransform3D(),
}
"""The families by DIPY's names, and the dimension of space."""

_BY_CLASS = {type(transform).__name__: transform for transform in regtransforms.values()}


def transform_of(given: object) -> Transform:
    """Return a family of this module for one of DIPY's own objects, or the given one.

    Raises
    ------
    UsageError
        When it is neither.
    """
    if isinstance(given, Transform):
        return given
    name = type(given).__name__
    if name not in _BY_CLASS:
        raise UsageError(f"transform is {given!r}; choose from {', '.join(_BY_CLASS)}, called without arguments")
    return _BY_CLASS[name]
