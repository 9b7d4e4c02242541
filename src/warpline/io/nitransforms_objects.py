"""Objects of nitransforms to transforms and back; its maps go from fixed to moving world in RAS+ mm, as ours do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from warpline.errors import InputError, UsageError
from warpline.io.transform_files import nifti_fields
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.grid import Grid


def is_nitransforms(transform: Any) -> bool:
    """Whether it is an object of nitransforms; imports nothing.

    Examples
    --------
    >>> is_nitransforms("affine.mat")
    False
    """
    return type(transform).__module__.partition(".")[0] == "nitransforms"


def from_nitransforms(transform: Any) -> Transform:
    """A transform of nitransforms as one of ours.

    Parameters
    ----------
    transform : Affine, DenseFieldTransform, BSplineFieldTransform or TransformChain
        Of nitransforms. Splines are evaluated on the grid of their reference.

    Returns
    -------
    Affine, Displacement or Chain
        Fixed world to moving world, RAS+ mm. Between voxels we interpolate displacements linearly, nitransforms by
        cubic splines.

    Raises
    ------
    InputError
        When it is of another kind, or one of ours already, splines have no reference, or a field is not finite or not
        of three dimensions.

    Examples
    --------
    >>> import nitransforms
    >>> import numpy as np
    >>> import warpline
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 1
    >>> warpline.from_nitransforms(nitransforms.Affine(shift)).map_points([[0.0, 0.0, 0.0]])
    array([[1., 0., 0.]])
    """
    kind = type(transform).__name__
    if isinstance(transform, Affine | Displacement | Chain):
        raise InputError(f"{kind} is a transform of warpline, not of nitransforms; use it as it is")
    if kind not in _READERS:
        raise InputError(f"{kind} of nitransforms cannot be used; give one of {', '.join(_READERS)}")
    return _READERS[kind](transform)


def to_nitransforms(transform: Transform) -> Any:
    """A transform as an object of nitransforms.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        Fixed world to moving world, such as `Registration.transform`; the inverse of a field is left out: convert
        `Registration.inverse` for it.

    Returns
    -------
    Affine, DenseFieldTransform or TransformChain
        Of nitransforms, the same map; a chain of one part is that part. Between voxels nitransforms interpolates
        displacements by cubic splines, we linearly.

    Raises
    ------
    UsageError
        When nitransforms is not installed, or a field lies on a grid of one slice, which nitransforms does not have.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> warpline.to_nitransforms(warpline.Affine(np.diag([2.0, 1.0, 1.0, 1.0]))).map([[1.0, 2.0, 3.0]])
    array([[2., 2., 3.]])
    """
    try:
        import nitransforms
    except ImportError:
        raise UsageError(
            "nitransforms is not installed; pip install nitransforms, or write a file with warpline.write_transform"
        ) from None
    if isinstance(transform, Affine):
        return nitransforms.Affine(transform.matrix)
    if isinstance(transform, Displacement):
        return _dense_field(transform)
    parts = [to_nitransforms(part) for part in transform.parts] or [nitransforms.Affine()]
    return parts[0] if len(parts) == 1 else nitransforms.TransformChain(parts)


def _dense_field(displacement: Displacement) -> Any:
    from nibabel import Nifti1Image
    from nitransforms.nonlinear import DenseFieldTransform

    if 1 in displacement.grid.shape:
        raise UsageError(
            f"nitransforms has no field on a grid of one slice, shape {displacement.grid.shape}; write a file with "
            "warpline.write_transform"
        )
    components = nifti_fields.components_last(displacement.field)
    return DenseFieldTransform(Nifti1Image(components, displacement.grid.affine))


def _affine(transform: Any) -> Affine:
    return Affine(np.asarray(transform.matrix, dtype=np.float64))


def _displacement(transform: Any) -> Displacement:
    """From displacements, or from the points that voxels are mapped to."""
    stored, reference = transform.to_x5(), transform.reference
    values = np.asarray(stored.transform, dtype=np.float64)
    if stored.representation == "deformations":
        values = values - reference.ndcoords.reshape(values.shape)
    if values.ndim != 4 or values.shape[3] != 3 or not np.isfinite(values).all():
        kind = type(transform).__name__
        raise InputError(f"{kind} of nitransforms has a field of shape {values.shape}; finite (I, J, K, 3) is needed")
    field = nifti_fields.components_first(values)
    return Displacement(field, Grid(field.shape[1:], np.asarray(reference.affine, dtype=np.float64)))


def _spline(transform: Any) -> Displacement:
    if transform.reference is None:
        raise InputError("BSplineFieldTransform of nitransforms has no reference: set its attribute `reference`")
    return _displacement(transform.to_field())


def _chain(transform: Any) -> Chain:
    return Chain.of(*(from_nitransforms(part) for part in transform.transforms or ()))


_READERS: dict[str, Callable[[Any], Transform]] = {
    "Affine": _affine,
    "DenseFieldTransform": _displacement,
    "BSplineFieldTransform": _spline,
    "TransformChain": _chain,
}
"""Classes of nitransforms; not a series of affines, one a volume."""
