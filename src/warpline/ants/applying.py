"""Images, points and volumes through transform files, with ANTsPy's arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline import operations
from warpline.ants.images import to_nibabel
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.lps import SIGNS
from warpline.io.transform_files import write_transform
from warpline.io.vectors import BY_THEMSELVES
from warpline.resampling import Interpolation, warp_sinc
from warpline.space import Displacement, displacement_on

INTERPOLATORS: dict[str, str | Interpolation] = {
    "linear": "linear",
    "nearestNeighbor": "nearest",
    "genericLabel": "label",
    "bSpline": "cubic",
    "lanczosWindowedSinc": partial(warp_sinc, window="lanczos", normalised=False),
    "hammingWindowedSinc": partial(warp_sinc, window="hamming", normalised=False),
    "cosineWindowedSinc": partial(warp_sinc, window="cosine", normalised=False),
    "welchWindowedSinc": partial(warp_sinc, window="welch", normalised=False),
}
"""ANTsPy's names of interpolations; its gaussian and multiLabel are not offered."""

IMAGE_TYPES = (0, 1, 3, 6)
"""Scalar images and time series, which are distinguished by their axes, and vectors."""

VECTORS = {1: "voxel", 6: "lps"}
"""Types of images with three components per voxel, to what these are along: the axes of the grid, or ITK's world."""

_SERIES = 3
"""The type whose volumes are resampled one by one even where the header declares them components."""

_AXES = ("x", "y", "z")

Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def apply_transforms(
    fixed: Any,
    moving: Any,
    transformlist: Files,
    interpolator: str = "linear",
    imagetype: int = 0,
    whichtoinvert: Sequence[bool | None] | None = None,
    compose: str | None = None,
    defaultvalue: float = 0,
    singleprecision: bool = False,
    verbose: bool = False,
) -> Any:
    """Carry a moving image onto the grid of a fixed one.

    Parameters
    ----------
    fixed, moving : nibabel image, path, Image or (array, affine)
        The grid of the result, and the image to carry over: 2-D, 3-D or 4-D.
    transformlist : path or list of paths
        In ANTs' order: points of the fixed image go through the first one first.
    interpolator : str
        A key of `INTERPOLATORS`.
    imagetype : {0, 1, 3, 6}
        Scalar or time series; a 4-D image is a series in either case, but one whose header says that it holds vectors
        is only taken as 3. With 1 or 6, `moving` holds vectors, (I, J, K, 3) or (I, J, K, 1, 3), which are turned with
        the anatomy: their components are along the axes of the grid, or in LPS+. Interpolators of vectors are linear,
        nearestNeighbor and bSpline.
    whichtoinvert : list of bool, optional
        Which transforms to invert; when None, the first of exactly two when it is a ``.mat`` and the other is not.
        Unlike in ANTs, warps can be inverted too.
    compose : str, optional
        Write the whole map to ``<compose>comptx.nii.gz``, or to `compose` when it ends in ``.h5``, and return its name.
    defaultvalue : float
        Value beyond the moving image.
    singleprecision, verbose : bool
        Without effect: coordinates are always computed in double precision, and nothing is printed.

    Returns
    -------
    nibabel.Nifti1Image or str
        nearestNeighbor and genericLabel keep the data type of the moving image, the others give float32. On a 2-D
        image it is 2-D; vectors become (I, J, K, 1, 3) with NIfTI's intent of vectors, which ITK reads as such.

    Raises
    ------
    UsageError
        When an option is not offered, or `whichtoinvert` has another length.
    InputError
        When a file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants, write_transform
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 1
    >>> write_transform(Affine(shift), "shift.mat")
    >>> image = np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.eye(4)
    >>> ants.apply_transforms(image, image, ["shift.mat"]).get_fdata()[:, 0, 0]
    array([4., 0.])
    """
    if imagetype not in IMAGE_TYPES:
        raise UsageError(f"imagetype is {imagetype!r}; choose from 0 (scalar), 1 or 6 (vectors), 3 (time series)")
    if interpolator not in INTERPOLATORS:
        raise UsageError(f"interpolator is {interpolator!r}; choose from {', '.join(INTERPOLATORS)}")
    entries = _entries(transformlist, whichtoinvert)
    target = operations.read(fixed, "fixed")
    if compose is not None:  # only the grid of the moving image is used
        return _write_composed(entries, target, operations.read(moving, "moving"), compose)
    how = INTERPOLATORS[interpolator]
    if imagetype in VECTORS:
        return _apply_to_vectors(moving, target, entries, interpolation=how, vectors=VECTORS[imagetype])
    carried: dict[str, Any] = {"interpolation": how, "outside": float(defaultvalue)}
    series = BY_THEMSELVES if imagetype == _SERIES else None
    return to_nibabel(operations.apply(moving, target.grid, entries, vectors=series, **carried))


def apply_transforms_to_points(
    dim: int,
    points: Any,
    transformlist: Files,
    whichtoinvert: Sequence[bool | None] | None = None,
    verbose: bool = False,
) -> Any:
    """Carry points through transforms, in the order of the list.

    A list that carries the moving *image* to the fixed one carries *points* of the fixed image to the moving one;
    points of the moving image need the inverse list.

    Parameters
    ----------
    dim : {2, 3}
        Coordinates per point.
    points : pandas DataFrame with columns x, y and z, or array (N, >= dim)
        World LPS+ mm, as ITK counts: x grows to the left, y to the back. Other columns are kept.
    transformlist, whichtoinvert
        As in `apply_transforms`.
    verbose : bool
        Without effect.

    Returns
    -------
    of the same kind as `points`
        Carried coordinates, LPS+ mm.

    Raises
    ------
    UsageError
        When `dim` is another number.
    InputError
        When a file cannot be read, or points have no coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants, write_transform
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 5  # to the right, along -x of LPS
    >>> write_transform(Affine(shift), "shift.mat")
    >>> ants.apply_transforms_to_points(3, np.array([[1.0, 2.0, 3.0]]), ["shift.mat"])
    array([[-4.,  2.,  3.]])
    """
    if dim not in (2, 3):
        raise UsageError(f"dim is {dim!r}; 2 and 3 are allowed")
    axes = _AXES[:dim]
    tabular = hasattr(points, "columns")
    if tabular and not set(axes) <= set(points.columns):
        raise InputError(f"points have the columns {', '.join(map(str, points.columns))}; {', '.join(axes)} are needed")
    given = np.asarray(points[list(axes)] if tabular else points, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] < dim:
        raise InputError(f"points have shape {given.shape}; (N, {dim}) is needed")
    where = np.zeros((len(given), 3))
    where[:, :dim] = given[:, :dim]
    moved = SIGNS * operations.apply_points(SIGNS * where, _entries(transformlist, whichtoinvert), to="moving")
    return _with_columns(points, axes, moved) if tabular else np.column_stack([moved[:, :dim], given[:, dim:]])


def create_jacobian_determinant_image(domain_image: Any, tx: Files, do_log: bool = False, geom: bool = False) -> Any:
    """Jacobian determinant of transforms at the voxels of an image.

    Parameters
    ----------
    domain_image : nibabel image, path, Image or (array, affine)
        The fixed image.
    tx : path or list of paths
        A warp; with an affine after it in the list, that is included.
    do_log : bool
        Natural logarithm; NaN where the map folds.
    geom : {False}
        ANTs' geometric variant is not offered.

    Returns
    -------
    nibabel.Nifti1Image
        float32. Derivatives are differences of neighbours (ANTs takes four points along each axis).

    Raises
    ------
    UsageError
        When `geom` is asked for.
    InputError
        When a file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, ants, write_transform
    >>> write_transform(Affine(np.diag([2.0, 1.0, 1.0, 1.0])), "wider.mat")
    >>> image = np.zeros((4, 4, 4), np.float32), np.eye(4)
    >>> ants.create_jacobian_determinant_image(image, "wider.mat").get_fdata().max().round(3)
    np.float64(2.0)
    """
    if geom:
        raise UsageError("geom=True is not offered; leave it False for the determinant of the derivative")
    entries = _entries(tx, [False] * len(_as_list(tx)))
    return to_nibabel(operations.jacobian(entries, operations.grid_of(domain_image, "domain_image"), log=do_log))


def _apply_to_vectors(moving: Any, target: Image, entries: list[str], **how: Any) -> Any:
    array = moving if isinstance(moving, (str, os.PathLike, Image)) else _components_last(moving)
    carried = operations.apply(array, target.grid, entries, **how)
    made = to_nibabel(Image(carried.data, carried.grid, carried.name), vectors=True)
    return made


def _components_last(moving: Any) -> Any:
    """Arrays and nibabel images of shape (I, J, K, 1, 3) as (I, J, K, 3)."""
    array, affine = (np.asanyarray(moving.dataobj), moving.affine) if hasattr(moving, "dataobj") else moving
    return (array[:, :, :, 0] if array.ndim == 5 else array), affine


def _as_list(files: Files) -> list[str]:
    return [os.fspath(files)] if isinstance(files, (str, os.PathLike)) else [os.fspath(path) for path in files]


def _entries(files: Files, whichtoinvert: Sequence[bool | None] | None) -> list[str]:
    """The list as ``warpline apply`` writes it: ``[file,1]`` for an inverse."""
    paths = _as_list(files)
    if whichtoinvert is None or not any(flag is not None for flag in whichtoinvert):
        back = len(paths) == 2 and ".mat" in paths[0] and ".mat" not in paths[1]
        whichtoinvert = (back, *[False] * (len(paths) - 1))
    if len(whichtoinvert) != len(paths):
        raise UsageError(
            f"whichtoinvert has {len(whichtoinvert)} entries for {len(paths)} transforms; give one for each"
        )
    return [f"[{path},1]" if flag else path for path, flag in zip(paths, whichtoinvert, strict=True)]


def _write_composed(entries: list[str], fixed: Any, moving: Any, prefix: str) -> str:
    whole = operations.compose(entries, fixed=fixed, moving=moving)
    if prefix.endswith(".h5"):
        write_transform(whole, prefix)
        return prefix
    path = f"{prefix}comptx.nii.gz"
    write_transform(Displacement(displacement_on(whole, fixed.grid), fixed.grid), path)
    return path


def _with_columns(table: Any, axes: Sequence[str], moved: NDArray[np.float64]) -> Any:
    carried = table.copy()
    for axis, values in zip(axes, moved.T, strict=False):
        carried[axis] = values
    return carried
