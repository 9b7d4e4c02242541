"""ITK's linear transforms: class name and parameters to an affine, in every container ITK has.

Each class has a matrix M, a translation t and a centre c: ``y = M (x - c) + c + t`` in LPS mm. The classes of
`LINEAR` say how their parameters give M and t; what follows the centre in the fixed parameters is a flag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.errors import InputError
from warpline.io.lps import LPS
from warpline.io.transform_files import numbers
from warpline.space import Affine
from warpline.space.grid import Matrix

COMPOSITE = "CompositeTransform"
LINEAR_NAME, FLAT_NAME = "AffineTransform_double_3_3", "AffineTransform_double_2_2"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Class:
    """Number of parameters of a class, ``parse(parameters, fixed) -> (M, t)``, and where the centre is among them.

    Without a place among the parameters, the centre is what the fixed ones begin with.
    """

    size: int
    parse: Callable[[Values, Values], tuple[Values, Values]]
    centre: slice | None = None


def to_affine(name: str, parameters: Values, fixed: Values, path: Path) -> Affine:
    """The transform of an ITK class, fixed world to moving world in RAS+ mm.

    Parameters
    ----------
    name : str
        As in the file, such as ``Euler3DTransform_double_3_3``.
    parameters, fixed : (n,)
        As in the file.
    path : Path
        What error messages call the file.

    Raises
    ------
    InputError
        When the class is not linear, or the numbers do not fit it.
    """
    kind, _, sizes = name.partition("_")
    dimension = 2 if sizes.endswith("2_2") else 3
    known = LINEAR[dimension].get(kind)
    if known is None or not sizes.endswith(("2_2", "3_3")):
        raise InputError(f"{path} holds a {name}; these can be read: {', '.join(LINEAR[dimension])}, in 2-D or 3-D")
    centre = parameters[known.centre] if known.centre else fixed[:dimension] if fixed.size else np.zeros(dimension)
    if parameters.size != known.size or centre.size != dimension:
        raise InputError(
            f"{path} has {parameters.size} parameters and {fixed.size} fixed parameters; "
            f"{known.size} and {dimension} are needed by {name}"
        )
    linear, shift = known.parse(parameters, fixed)
    matrix = np.eye(4)
    matrix[:dimension, :dimension] = linear
    matrix[:dimension, 3] = shift + centre - linear @ centre
    found = numbers.affine(LPS @ matrix @ LPS, path)
    return found.flattened() if dimension == 2 else found


def from_affine(transform: Affine, centre: ArrayLike = (0.0, 0.0, 0.0)) -> tuple[Values, Values]:
    """Parameters (12,) and fixed parameters (3,) of an ``AffineTransform``; `centre` (3,) in RAS+ mm."""
    matrix = LPS @ transform.matrix @ LPS
    fixed = LPS[:3, :3] @ np.asarray(centre, dtype=np.float64)
    shift = matrix[:3, 3] - fixed + matrix[:3, :3] @ fixed
    return np.concatenate([matrix[:3, :3].ravel(), shift]) + 0.0, fixed + 0.0  # + 0.0 turns -0.0 into 0.0


def flat_from_affine(transform: Affine) -> tuple[Values, Values]:
    """Parameters (6,) and fixed parameters (2,) of an ``AffineTransform`` in 2-D.

    Raises
    ------
    UsageError
        When the transform does not leave the third axis as it is.
    """
    matrix = LPS @ transform.flattened().matrix @ LPS
    return np.concatenate([matrix[:2, :2].ravel(), matrix[:2, 3]]) + 0.0, np.zeros(2)


def _rotation_about(axis: int, angle: float) -> Matrix:
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn[first, first] = turn[second, second] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    return turn


def _euler_3d(p: Values, fixed: Values) -> tuple[Values, Values]:
    x, y, z = (_rotation_about(axis, p[axis]) for axis in range(3))
    zyx = fixed.size > 3 and fixed[3] != 0
    return z @ y @ x if zyx else z @ x @ y, p[3:]


def _versor_rotation(v: Values) -> Values:
    """The rotation of a unit quaternion whose vector part is `v` (3,)."""
    scalar = np.sqrt(max(0.0, 1.0 - float(v @ v)))
    cross = np.cross(np.eye(3), v)
    turn: Values = np.eye(3) + 2 * (scalar * cross + cross @ cross)
    return turn


def _rotation_2d(angle: float) -> Values:
    return _rotation_about(2, angle)[:2, :2]


def _scale_skew_versor(p: Values, _: Values) -> tuple[Values, Values]:
    """ITK adds the skews, row by row, and the scales less 1 to the rotation."""
    matrix = _versor_rotation(p[:3]) + np.diag(p[6:9] - 1)
    matrix[~np.eye(3, dtype=bool)] += p[9:]
    return matrix, p[3:6]


def _compose_scale_skew_versor(p: Values, _: Values) -> tuple[Values, Values]:
    """Points are skewed first, then scaled, then turned."""
    skew = np.eye(3)
    skew[np.triu_indices(3, 1)] = p[9:]
    return _versor_rotation(p[:3]) @ np.diag(p[6:9]) @ skew, p[3:6]


def _quaternion(p: Values, _: Values) -> tuple[Values, Values]:
    """The rotation of a quaternion x, y, z, w of any length."""
    length = np.linalg.norm(p[:4])
    x, y, z, w = p[:4] / length if length > 0 else (0.0, 0.0, 0.0, 1.0)
    cross = np.cross(np.eye(3), (x, y, z))
    turn: Values = np.eye(3) + 2 * (w * cross + cross @ cross)
    return turn, p[4:]


def _matrix_and_translation(dimension: int, centre: slice | None = None) -> _Class:
    """A whole matrix and a translation, with the centre between them or not."""
    size = dimension**2
    count = size + dimension * (1 if centre is None else 2)
    return _Class(count, lambda p, _: (p[:size].reshape(dimension, dimension), p[-dimension:]), centre)


LINEAR: dict[int, dict[str, _Class]] = {
    3: {
        "AffineTransform": _matrix_and_translation(3),
        "MatrixOffsetTransformBase": _matrix_and_translation(3),
        "FixedCenterOfRotationAffineTransform": _matrix_and_translation(3),
        "ScalableAffineTransform": _matrix_and_translation(3),
        "CenteredAffineTransform": _matrix_and_translation(3, slice(9, 12)),
        "Euler3DTransform": _Class(6, _euler_3d),
        "CenteredEuler3DTransform": _Class(9, lambda p, fixed: (_euler_3d(p, fixed)[0], p[6:]), slice(3, 6)),
        "QuaternionRigidTransform": _Class(7, _quaternion),
        "VersorTransform": _Class(3, lambda p, _: (_versor_rotation(p), np.zeros(3))),
        "VersorRigid3DTransform": _Class(6, lambda p, _: (_versor_rotation(p[:3]), p[3:])),
        "Similarity3DTransform": _Class(7, lambda p, _: (p[6] * _versor_rotation(p[:3]), p[3:6])),
        "ScaleVersor3DTransform": _Class(9, lambda p, _: (_versor_rotation(p[:3]) + np.diag(p[6:] - 1), p[3:6])),
        "ScaleSkewVersor3DTransform": _Class(15, _scale_skew_versor),
        "ComposeScaleSkewVersor3DTransform": _Class(12, _compose_scale_skew_versor),
        "ScaleTransform": _Class(3, lambda p, _: (np.diag(p), np.zeros(3))),
        "ScaleLogarithmicTransform": _Class(3, lambda p, _: (np.diag(np.exp(p)), np.zeros(3))),
        "TranslationTransform": _Class(3, lambda p, _: (np.eye(3), p)),
        "IdentityTransform": _Class(0, lambda _, __: (np.eye(3), np.zeros(3))),
    },
    2: {
        "AffineTransform": _matrix_and_translation(2),
        "MatrixOffsetTransformBase": _matrix_and_translation(2),
        "ScalableAffineTransform": _matrix_and_translation(2),
        "CenteredAffineTransform": _matrix_and_translation(2, slice(4, 6)),
        "Euler2DTransform": _Class(3, lambda p, _: (_rotation_2d(p[0]), p[1:])),
        "Rigid2DTransform": _Class(3, lambda p, _: (_rotation_2d(p[0]), p[1:])),
        "CenteredRigid2DTransform": _Class(5, lambda p, _: (_rotation_2d(p[0]), p[3:]), slice(1, 3)),
        "CenteredSimilarity2DTransform": _Class(6, lambda p, _: (p[0] * _rotation_2d(p[1]), p[4:]), slice(2, 4)),
        "Similarity2DTransform": _Class(4, lambda p, _: (p[0] * _rotation_2d(p[1]), p[2:])),
        "ScaleTransform": _Class(2, lambda p, _: (np.diag(p), np.zeros(2))),
        "TranslationTransform": _Class(2, lambda p, _: (np.eye(2), p)),
        "IdentityTransform": _Class(0, lambda _, __: (np.eye(2), np.zeros(2))),
    },
}
"""Dimension, then class name, to its parameters; a 2-D transform leaves the third axis as it is."""
