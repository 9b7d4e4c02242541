"""ITK's transforms by class name: what their parameters mean in any container."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io.transform_files import itk_fields, itk_parameters, itk_splines
from warpline.space import Affine, Part

FIELDS = (
    "DisplacementFieldTransform",
    "GaussianSmoothingOnUpdateDisplacementFieldTransform",
    "BSplineSmoothingOnUpdateDisplacementFieldTransform",
)
SPLINES = ("BSplineTransform", "BSplineDeformableTransform")
"""The name of newer and of older versions of ITK; the numbers are the same."""

_NAME = re.compile(r"(?P<kind>\w+?)_(?:double|float)_(?P<dimension>[23])_(?P=dimension)(?:_(?P<order>\d))?")
_CUBIC = 3


def to_part(name: str, parameters: NDArray[Any], fixed: NDArray[np.float64], path: Path) -> Part:
    """The transform of an ITK class, fixed world to moving world in RAS+ mm.

    Parameters
    ----------
    name : str
        As in the file, such as ``BSplineTransform_double_3_3``.
    parameters, fixed : (n,)
        As in the file.
    path : Path
        What error messages call the file.

    Raises
    ------
    InputError
        When the class is not known, or the numbers do not fit it.
    """
    found = _NAME.fullmatch(name)
    kind, dimension = (found["kind"], int(found["dimension"])) if found else (name, 3)
    if kind in FIELDS:
        return itk_fields.to_displacement(parameters, fixed, dimension, path)
    if kind in SPLINES and found is not None:
        order = int(found["order"] or _CUBIC)
        return itk_splines.to_displacement(parameters, fixed, dimension, order, path)
    if kind in itk_parameters.LINEAR[dimension]:
        return itk_parameters.to_affine(name, parameters.astype(np.float64), fixed, path)
    hint = f"; write it inverted, as {kind.removeprefix('Inverse')}" if kind.startswith("Inverse") else ""
    readable = ", ".join((*itk_parameters.LINEAR[dimension], *FIELDS, *SPLINES))
    raise InputError(f"{path} holds a {name}{hint}; these can be read, in {dimension}-D: {readable}")


def from_part(part: Part, *, flat: bool = False) -> tuple[str, NDArray[Any], NDArray[np.float64]]:
    """Name, parameters and fixed parameters under which a part is written; linear ones in double precision.

    Raises
    ------
    UsageError
        When it is to be `flat`, in 2-D, and does not fit.
    """
    if not isinstance(part, Affine):
        return itk_fields.NAMES[flat], *itk_fields.from_displacement(part, flat=flat)
    if flat:
        return itk_parameters.FLAT_NAME, *itk_parameters.flat_from_affine(part)
    return itk_parameters.LINEAR_NAME, *itk_parameters.from_affine(part)
