"""FSL's warp fields, as FNIRT and convertwarp write them: NIfTI of shape (I, J, K, 3), intent 2006 or none.

In FSL's mm (`fsl_space`): the place in the moving image is ``y = x + f(x)`` (relative) or ``y = f(x)``
(absolute). No field of the header says which; the values do, for of the two maps of the world only one is plausible.
An affine that FNIRT started from is part of the field.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io import nifti
from warpline.io.transform_files import fsl_space, nifti_fields
from warpline.io.transform_files.format import Format, Grids, Head
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.grid import Grid, Matrix, apply_affine

INTENT_FIELD = 2006


def matches(head: Head) -> bool:
    """Whether a file has FNIRT's intent, or none."""
    return head.shape[3:] == (3,) and head.intent in (INTENT_FIELD, 0)


def matches_unsigned(head: Head) -> bool:
    """Whether a file has no intent: like any series of three volumes, so that its format must be named."""
    return head.shape[3:] == (3,) and head.intent == 0


def read(path: Path, grids: Grids, *, absolute: bool | None = None) -> Transform:
    """Read the field: fixed world to moving world.

    Parameters
    ----------
    path : Path
        The file.
    grids : Grids
        Of the moving image; of the fixed image only where the file has neither sform nor qform.
    absolute : bool, optional
        Whether the values are places; found from the values when None.

    Returns
    -------
    Displacement or Chain
        A chain of displacement and affine where FSL's coordinates differ from the world's.

    Raises
    ------
    InputError
        When the file is damaged, a grid is missing, or the reading is not clear.
    """
    stored = nifti_fields.read(path, ((3,),))
    field = nifti_fields.components_first(stored.array)
    fixed = _fixed_grid(stored, grids, path)
    moving = grids.need_moving(f"{path}: FSL's fields count from the geometry of the moving image")
    if absolute is None:
        absolute = _is_absolute(field, fixed, moving, path)
    if absolute:
        field = nifti_fields.transform_vectors(field, np.eye(3), -fsl_space.from_voxels(fixed))
    return between(field, fixed, moving)


def between(field: NDArray[np.float32], fixed: Grid, moving: Grid, then: Matrix | None = None) -> Transform:
    """The transform of relative displacements in FSL's mm on `fixed`.

    Parameters
    ----------
    field : (3, I, J, K) float32
        ``y - x`` in FSL's mm.
    fixed, moving : Grid
        Of the images.
    then : (4, 4), optional
        What is applied after the displacement, in FSL's mm of the fixed to those of the moving image.
    """
    leave, arrive = fsl_space.to_world(fixed), fsl_space.to_world(moving)
    world = nifti_fields.transform_vectors(field, leave, np.zeros((4, 4)))
    after = arrive @ (np.eye(4) if then is None else then) @ np.linalg.inv(leave)
    if np.allclose(after, np.eye(4), rtol=0, atol=1e-9):
        return Displacement(world, fixed)
    return Chain((Displacement(world, fixed), Affine(after)))


def encode(transform: Displacement, grids: Grids, *, absolute: bool = False) -> bytes:
    """The bytes of an uncompressed file that applywarp takes, relative unless said otherwise.

    Raises
    ------
    InputError
        When the grid of the moving image is missing.
    """
    moving = grids.need_moving("FSL's fields count from the geometry of the moving image")
    fixed = grids.fixed if grids.fixed is not None and grids.fixed == transform.grid else transform.grid
    leave, arrive = fsl_space.to_world(fixed), fsl_space.to_world(moving)
    back = np.linalg.inv(arrive)
    start = np.zeros((4, 4)) if absolute else np.linalg.inv(leave)
    field = nifti_fields.transform_vectors(transform.field, back, (back - start) @ fixed.affine)
    data, sizes = nifti_fields.components_last(field), fsl_space.sizes(fixed).tolist()
    return nifti.encode(data, fixed.affine, intent=INTENT_FIELD, pixdim=sizes)


def _fixed_grid(stored: nifti.StoredArray, grids: Grids, path: Path) -> Grid:
    shape = stored.array.shape[:3]
    if stored.header["sform_code"] > 0 or stored.header["qform_code"] > 0:
        return stored.grid
    fixed = grids.need_fixed(f"{path} has neither sform nor qform")
    if fixed.shape != shape:
        raise InputError(f"{path} has the shape {shape} and no affine; the fixed image has {fixed.shape}")
    return fixed


def _is_absolute(field: NDArray[np.float32], fixed: Grid, moving: Grid, path: Path) -> bool:
    """Compare how far either reading stretches the world; taking one for the other flattens or doubles an axis."""
    slope = _slope(field, fsl_space.from_voxels(fixed))
    leave, arrive = fsl_space.to_world(fixed)[:3, :3], fsl_space.to_world(moving)[:3, :3]
    readings = [arrive @ linear @ np.linalg.inv(leave) for linear in (np.eye(3) + slope, slope)]
    relative, absolute = (float(np.abs(np.log(np.maximum(_stretch(one), 1e-9))).max()) for one in readings)
    if min(relative, absolute) > max(relative, absolute) / 2:
        raise InputError(
            f"{path} may hold displacements or places, neither is likely; "
            "name its format: fsl-fnirt-relative or fsl-fnirt-absolute"
        )
    return absolute < relative


def _slope(field: NDArray[np.float32], places: Matrix) -> Matrix:
    """The matrix (3, 3) that best gives the vectors of a field from FSL's mm, on a coarse lattice of its voxels."""
    coarse = tuple(np.s_[: n : max(1, n // 16)] for n in field.shape[1:])
    voxels = np.stack([index.ravel() for index in np.mgrid[coarse]], axis=1)
    points = np.column_stack([apply_affine(places, voxels), np.ones(len(voxels))])
    values = np.stack([component[coarse].ravel() for component in field], axis=1).astype(np.float64)
    return np.asarray(np.linalg.lstsq(points, values, rcond=None)[0][:3].T, np.float64)


def _stretch(linear: Matrix) -> NDArray[np.floating[Any]]:
    return np.linalg.svd(linear, compute_uv=False)


def _format(kind: str, absolute: bool | None) -> Format:
    return Format(
        about=f"FSL warp field (FNIRT, convertwarp), {kind}",
        stores="fixed to moving",
        unit="mm, FSL's scaled voxels",
        holds=Displacement,
        suffixes=(".nii", ".nii.gz"),
        matches=matches if absolute is None else matches_unsigned,
        read=partial(read, absolute=absolute),
        encode=partial(encode, absolute=bool(absolute)),
        needs_grids=True,
    )


FORMAT = _format("relative or absolute as its values tell; written relative", None)
RELATIVE = _format("displacements", False)
ABSOLUTE = _format("places", True)
